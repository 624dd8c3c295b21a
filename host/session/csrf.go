package session

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// ErrCSRF is a request that changes something and does not show that it comes
// from a page of this application.
var ErrCSRF = errors.New("session: the request does not come from a page of this site")

const (
	csrfKey  = reservedPrefix + "csrf"
	csrfSize = 32
)

// How a form or a script sends the token back; see [Manager.Protect].
const (
	CSRFHeader = "X-Csrf-Token"
	CSRFField  = "csrf_token"
)

// CSRFToken returns a token for the forms of this session's pages. It looks
// different each time, so that compressing a page does not give it away, and
// holds until the session ends or gets a new id by Renew or LogIn. The first
// call creates the session if there is none, and otherwise saves it, with all
// its changes; its errors are those of [Session.Save]. Without a session it
// must come before the response begins, and is ErrHeadersSent after that.
func (s *Session) CSRFToken() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, err := s.csrfSecret()
	if err != nil {
		return "", err
	}
	var token [2 * csrfSize]byte
	random := token[:csrfSize]
	if _, err := io.ReadFull(s.manager.settings.Rand, random); err != nil {
		return "", fmt.Errorf("session: no random bits for a token: %w", err)
	}
	subtle.XORBytes(token[csrfSize:], secret, random)
	return base64.RawURLEncoding.EncodeToString(token[:]), nil
}

// csrfSecret returns the secret behind the session's tokens, and makes it if
// there is none. Pages of one session that are made at the same time must find
// the same one: what is new to a session that others know is saved at once.
func (s *Session) csrfSecret() ([]byte, error) {
	secret, ok, err := s.lookup(csrfKey)
	if err == nil && !s.exists {
		err = s.canSendID() // a token of a session that nobody will have is none
	}
	if err != nil {
		return nil, err
	}
	if ok && len(secret) == csrfSize {
		return secret, nil
	}
	fresh := make([]byte, csrfSize)
	if _, err := io.ReadFull(s.manager.settings.Rand, fresh); err != nil {
		return nil, fmt.Errorf("session: no random bits for a token: %w", err)
	}
	if err := s.load(s.ctx); err != nil {
		return nil, err
	}
	if !s.exists || s.renew {
		s.overlay.set(csrfKey, fresh)
		return fresh, nil
	}
	err = s.commit(func(o *overlay, base Values) error {
		if secret, ok = o.lookup(base, csrfKey); ok && len(secret) == csrfSize {
			return errNothing
		}
		secret = fresh
		o.set(csrfKey, fresh)
		return nil
	})
	return secret, err
}

// CheckCSRF returns nil for a token that CSRFToken gave to this session, and
// ErrCSRF for any other.
func (s *Session) CheckCSRF(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, ok, err := s.lookup(csrfKey)
	if err != nil {
		return err
	}
	got, decodeErr := base64.RawURLEncoding.DecodeString(token)
	if !ok || decodeErr != nil || len(got) != 2*csrfSize || len(secret) != csrfSize {
		return fmt.Errorf("%w: the token is missing or not one of this session", ErrCSRF)
	}
	subtle.XORBytes(got[csrfSize:], got[csrfSize:], got[:csrfSize])
	if subtle.ConstantTimeCompare(got[csrfSize:], secret) != 1 {
		return fmt.Errorf("%w: the token is not one of this session", ErrCSRF)
	}
	return nil
}

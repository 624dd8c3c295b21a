package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// ErrCSRF is returned when a request changes something and does not show that it
// comes from a page of this application.
var ErrCSRF = errors.New("session: the request does not come from a page of this site")

const (
	csrfKey  = reservedPrefix + "csrf"
	csrfSize = sha256.Size
)

// How a form or a script sends the token back; see [Manager.Protect].
const (
	CSRFHeader = "X-Csrf-Token"
	CSRFField  = "csrf_token"
)

// CSRFToken returns a token for the forms of this session's pages. It looks
// different each time, so that compressing a page does not reveal it. It holds
// until the session ends, is cleared, or gets a new id by Renew or LogIn.
//
// Nothing is stored for it: a session's token is derived from its id. A visitor
// without a session gets a cookie for it, which has no end of its own. The token
// then holds until somebody logs in, also for a session that begins meanwhile. A
// session that travels in the token header is begun, since its client keeps no
// cookies.
//
// If the client's session was ended or renewed a moment ago, the token is derived
// from the id that the client still sends, and holds as long as that does, an
// hour at most.
//
// It returns ErrHeadersSent if a cookie is needed and the headers have left, or
// the storage's error.
func (s *Session) CSRFToken() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, err := s.csrfSecret()
	if err == nil && secret == nil {
		secret, err = s.newCSRFSecret()
	}
	if err == nil && !s.exists && s.overlay.find(csrfKey) != nil {
		err = s.canSendID() // a token is worthless if nobody will have its session
	}
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

// CheckCSRF returns nil for a token that CSRFToken gave to this session or, if
// there is none yet, to this visitor. It returns ErrCSRF for any other.
func (s *Session) CheckCSRF(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, err := s.csrfSecret()
	if err != nil {
		return err
	}
	if secret == nil && !s.exists && s.endedID != "" {
		secret = csrfOf(s.endedID) // the page was made within the grace
	}
	got, decodeErr := base64.RawURLEncoding.DecodeString(token)
	if secret == nil || decodeErr != nil || len(got) != 2*csrfSize {
		return fmt.Errorf("%w: the token is missing or not one of this session", ErrCSRF)
	}
	subtle.XORBytes(got[csrfSize:], got[csrfSize:], got[:csrfSize])
	if subtle.ConstantTimeCompare(got[csrfSize:], secret) != 1 {
		return fmt.Errorf("%w: the token is not one of this session", ErrCSRF)
	}
	return nil
}

// csrfSecret returns the secret behind the tokens, or nil if there is none yet.
// It is stored as a value if it cannot be derived from the id: if the id is still
// to come, or was another one, or none, when pages were made.
func (s *Session) csrfSecret() ([]byte, error) {
	secret, ok, err := s.lookup(csrfKey)
	if err != nil || ok && len(secret) == csrfSize {
		return secret, err
	}
	if err := s.load(s.ctx); err != nil {
		return nil, err
	}
	switch {
	case s.renew:
		return nil, nil
	case s.exists:
		return csrfOf(s.id), nil
	}
	if secret := s.visitorSecret(); secret != nil || s.ended == nil {
		return secret, nil
	}
	// Another request ended the session a moment ago. The page that asks, usually a
	// log-in, must still work, and no cookie may be sent.
	return csrfOf(s.endedID), nil
}

// csrfOf derives a session's secret from its id, without revealing the id. The
// store, which does not know the id, cannot do it.
func csrfOf(id string) []byte {
	h := hmac.New(sha256.New, []byte(id))
	h.Write([]byte("waddle csrf 1"))
	return h.Sum(nil)
}

// newCSRFSecret makes a secret if there is none. It goes into the session if that
// will be stored anyway, otherwise into the visitor's cookie.
func (s *Session) newCSRFSecret() ([]byte, error) {
	if err := s.canSendID(); err != nil && !s.exists {
		return nil, err
	}
	secret, err := s.manager.newCSRFSecret()
	if err != nil {
		return nil, err
	}
	if s.modified() || !s.hasVisitor() {
		s.overlay.set(csrfKey, secret)
	} else {
		s.setVisitor(secret)
	}
	return secret, nil
}

// keepCSRF keeps earlier pages valid when a session begins or its id is renewed
// by age: it puts their secret into the record to be stored. A renewal has
// dropped the visitor's.
func (s *Session) keepCSRF(t *attempt, o *overlay) *overlay {
	var secret []byte
	if _, ok := o.lookup(s.record.Values, csrfKey); !ok {
		switch {
		case t.left != nil && t.left.State == RecordMoved:
			secret = csrfOf(s.id)
		case !s.exists:
			secret = s.visitorSecret()
		}
	}
	if secret == nil {
		return o
	}
	kept := o.copy()
	kept.set(csrfKey, secret)
	return &kept
}

func (m *Manager) newCSRFSecret() ([]byte, error) {
	secret := make([]byte, csrfSize)
	if _, err := io.ReadFull(m.settings.Rand, secret); err != nil {
		return nil, fmt.Errorf("session: no random bits for a token: %w", err)
	}
	return secret, nil
}

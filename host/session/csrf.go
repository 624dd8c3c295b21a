package session

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// Protect wraps a handler, inside of Handler, so that requests which change
// something (all but GET, HEAD and OPTIONS) are only let through if no other
// site can have made a browser send them.
//
// Browsers say where a request comes from, and [http.CrossOriginProtection]
// decides by that; origins to trust and paths to leave out are set on it, and
// nil stands for one without any. What a request without a word on its origin
// can still do is ride on a session: if it has one by cookie, it must bring
// the session's token, in the header CSRFHeader or the form field CSRFField.
// Programs that have no session, or bring its id in Settings.TokenHeader, need
// nothing.
//
// A request that is refused is answered by deny, or with 403 if that is nil.
func (m *Manager) Protect(next http.Handler, origins *http.CrossOriginProtection, deny http.Handler) http.Handler {
	if origins == nil {
		origins = http.NewCrossOriginProtection()
	}
	if deny == nil {
		deny = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "This request does not come from a page of this site. Please load the page again.", http.StatusForbidden)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origins.Check(r) != nil {
			deny.ServeHTTP(w, r)
			return
		}
		if changes(r.Method) && r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
			s := m.From(r)
			exists, err := s.Exists()
			if err != nil {
				m.Error(w, r, err)
				return
			}
			if exists && s.transport == TransportCookie {
				token := r.Header.Get(CSRFHeader)
				if token == "" {
					token = r.PostFormValue(CSRFField)
				}
				switch err := s.CheckCSRF(token); {
				case errors.Is(err, ErrCSRF):
					if !leftOut(origins, r) {
						deny.ServeHTTP(w, r)
						return
					}
				case err != nil:
					m.Error(w, r, err)
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// leftOut reports whether the origin of a request counts for nothing, because
// its path was left out: one that came from elsewhere would be let through.
func leftOut(origins *http.CrossOriginProtection, r *http.Request) bool {
	elsewhere := *r
	elsewhere.Header = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	return origins.Check(&elsewhere) == nil
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

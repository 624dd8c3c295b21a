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
// call creates the session if there is none.
func (s *Session) CSRFToken() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, ok, err := s.lookup(csrfKey)
	if err != nil {
		return "", err
	}
	var token [2 * csrfSize]byte
	random := token[:csrfSize]
	if !ok || len(secret) != csrfSize {
		secret = make([]byte, csrfSize)
		if _, err := io.ReadFull(s.manager.settings.Rand, secret); err != nil {
			return "", fmt.Errorf("session: no random bits for a token: %w", err)
		}
		s.overlay.set(csrfKey, secret)
	}
	if _, err := io.ReadFull(s.manager.settings.Rand, random); err != nil {
		return "", fmt.Errorf("session: no random bits for a token: %w", err)
	}
	subtle.XORBytes(token[csrfSize:], secret, random)
	return base64.RawURLEncoding.EncodeToString(token[:]), nil
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
				if err := s.CheckCSRF(token); err != nil {
					deny.ServeHTTP(w, r)
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

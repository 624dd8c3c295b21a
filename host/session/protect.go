package session

import (
	"fmt"
	"net/http"
	"strings"
)

// Protect returns middleware, for use inside Handler, that lets a request that
// changes something through only if no other site can have made a browser send
// it. All methods but GET, HEAD and OPTIONS change something, and so does the
// handshake of a WebSocket or another protocol, whatever its method.
//
//	handler := m.Handler(m.Protect(nil)(app))
//
// Browsers say where a request comes from, and [http.CrossOriginProtection]
// decides by that. It holds the origins to trust and the paths that any origin
// may request; nil stands for one without any. A pattern that leaves out a
// handshake must name no method.
//
// A request that says nothing of its origin can still ride on a session. If it
// has one by cookie, it must bring the session's token, in the header CSRFHeader
// or the form field CSRFField. The field must be within the first 256 KiB of the
// form, before large files and texts: no more is read, and the handler gets the
// whole body to read. Programs that have no session, or send its id in
// Settings.TokenHeader, need nothing, and neither do handshakes: browsers say the
// origin of each.
//
// A request from an origin that is not allowed gets the answer that origins
// gives, from the handler of SetDenyHandler, which sees a handshake as a POST. A
// missing token is an ErrCSRF, which Settings.OnError answers, by default with
// 403. If origins is nil, the other refusals are an ErrCSRF, too.
//
// Do not wrap handlers that must not be protected: route around it.
func (m *Manager) Protect(origins *http.CrossOriginProtection) func(http.Handler) http.Handler {
	if origins == nil {
		origins = http.NewCrossOriginProtection()
		origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.WriteError(w, r, fmt.Errorf("%w: it comes from another one", ErrCSRF))
		}))
	}
	return func(next http.Handler) http.Handler {
		checked := origins.Handler(&tokenCheck{m, next})
		// The request that it lets through is a copy that nobody should serve.
		refusal := origins.Handler(http.HandlerFunc(denied))
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if change := asChange(r); change != r && origins.Check(change) != nil {
				defer handBack(r, change) // for example the files of a form
				refusal.ServeHTTP(w, change)
				return
			}
			checked.ServeHTTP(w, r)
		})
	}
}

// tokenCheck asks for the token if the origin is not known.
type tokenCheck struct {
	manager *Manager
	next    http.Handler
}

func (c *tokenCheck) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if changes(r.Method) && !connects(r) && silent(r) {
		if err := c.manager.checkToken(r); err != nil {
			c.manager.WriteError(w, r, err)
			return
		}
	}
	c.next.ServeHTTP(w, r)
}

// checkToken returns ErrCSRF for a request that rides on a session and does not
// bring its token.
func (m *Manager) checkToken(r *http.Request) error {
	s := m.From(r)
	rides, err := s.rides()
	if err != nil || !rides {
		return err
	}
	token := r.Header.Get(CSRFHeader)
	if token == "" {
		token = formToken(r)
	}
	return s.CheckCSRF(token)
}

// rides reports whether a browser sends by itself what identifies this session.
func (s *Session) rides() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(s.ctx); err != nil {
		return false, err
	}
	if s.exists {
		return s.transport == TransportCookie, nil
	}
	return s.visitorSecret() != nil, nil
}

func denied(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, refused, http.StatusForbidden)
}

const refused = "This request does not come from a page of this site. Please load the page again."

// silent reports whether a request says nothing of where it comes from.
func silent(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == ""
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// asChange returns a request, with a method that changes something if it would
// change the connection's protocol.
func asChange(r *http.Request) *http.Request {
	if changes(r.Method) || strings.Join(r.Header["Upgrade"], "") == "" {
		return r
	}
	change := *r
	change.Method = http.MethodPost
	return &change
}

// connects reports whether a request is a handshake over HTTP/2 or HTTP/3, RFC
// 8441 and 9220, where the protocol is in the header or in place of HTTP's.
func connects(r *http.Request) bool {
	return r.Method == http.MethodConnect && (r.Header[":protocol"] != nil || r.Proto != "" && !strings.HasPrefix(r.Proto, "HTTP/"))
}

package session

import (
	"fmt"
	"net/http"
	"strings"
)

// Protect returns middleware, for inside of Handler, that lets requests which
// change something through only if no other site can have made a browser send
// them. All but GET, HEAD and OPTIONS change something, and so does the
// handshake of a WebSocket or another protocol, whatever its method.
//
//	handler := m.Handler(m.Protect(nil)(app))
//
// Browsers say where a request comes from, and [http.CrossOriginProtection]
// decides by that: origins to trust and paths from which any origin may come are
// set on it, and nil stands for one without any. A pattern that leaves out a
// handshake must name no method.
//
// What a request without a word on its origin can still do is ride on a session:
// if it has one by cookie, it must bring the session's token, in the header
// CSRFHeader or the form field CSRFField. The field must be within the first
// 256 KiB of the form, before large files and texts: no more is read, and the
// handler gets the whole body to read. Programs that have no session, or bring
// its id in Settings.TokenHeader, need nothing, and neither do handshakes:
// browsers say the origin of each.
//
// Who may not come from elsewhere is answered as origins says, by the handler of
// SetDenyHandler; to a handshake that handler is shown as a POST. A token that is
// missing is an ErrCSRF, which Settings.OnError answers, by default with 403, and
// which also stands for the other refusals if origins is nil.
//
// Handlers that must not be protected are not wrapped: route around it.
func (m *Manager) Protect(origins *http.CrossOriginProtection) func(http.Handler) http.Handler {
	if origins == nil {
		origins = http.NewCrossOriginProtection()
		origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.Error(w, r, fmt.Errorf("%w: it comes from another one", ErrCSRF))
		}))
	}
	return func(next http.Handler) http.Handler {
		checked := origins.Handler(&tokenCheck{m, next})
		// What it lets through is a copy that nobody is to serve.
		refusal := origins.Handler(http.HandlerFunc(denied))
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if change := asChange(r); change != r && origins.Check(change) != nil {
				defer handBack(r, change) // the files of a form, say
				refusal.ServeHTTP(w, change)
				return
			}
			checked.ServeHTTP(w, r)
		})
	}
}

// tokenCheck asks for the token where the origin is not known.
type tokenCheck struct {
	manager *Manager
	next    http.Handler
}

func (c *tokenCheck) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if changes(r.Method) && !connects(r) && silent(r) {
		if err := c.manager.checkToken(r); err != nil {
			c.manager.Error(w, r, err)
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

// rides reports whether a browser would send what makes this session known by
// itself.
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

// asChange returns a request, with a method that changes something if it is to
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

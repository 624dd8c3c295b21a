package session

import (
	"errors"
	"net/http"
	"strings"
)

// Protect wraps a handler, inside of Handler, so that requests which change
// something are only let through if no other site can have made a browser send
// them. All but GET, HEAD and OPTIONS change something, and so does the
// handshake of a WebSocket or another protocol, whatever its method.
//
// Browsers say where a request comes from, and [http.CrossOriginProtection]
// decides by that; origins to trust and paths to leave out are set on it, and
// nil stands for one without any. A pattern that leaves out a handshake must
// name no method.
//
// What a request without a word on its origin can still do is ride on a session:
// if it has one by cookie, it must bring the session's token, in the header
// CSRFHeader or the form field CSRFField. The field must be within the first
// 256 KiB of the form, before large files and texts: no more is read, and the
// handler gets the whole body to read. Programs that have no session, or bring
// its id in Settings.TokenHeader, need nothing, and neither do handshakes:
// browsers say the origin of each.
//
// A request that is refused is answered by deny, or, if that is nil, by what
// was given to origins.SetDenyHandler, and else with 403. That handler sees a
// request that says to come from another site, also where a token was missing.
func (m *Manager) Protect(next http.Handler, origins *http.CrossOriginProtection, deny http.Handler) http.Handler {
	p := &protection{manager: m, next: next, origins: origins, deny: deny}
	if origins == nil {
		p.origins = http.NewCrossOriginProtection()
	}
	if deny == nil {
		p.deny = http.HandlerFunc(denied)
		if origins != nil {
			p.deny = denyAs(origins)
		}
	}
	return p
}

type protection struct {
	manager *Manager
	next    http.Handler
	origins *http.CrossOriginProtection
	deny    http.Handler
}

func (p *protection) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.origins.Check(asChange(r)) != nil {
		p.deny.ServeHTTP(w, r)
		return
	}
	if changes(r.Method) && !connects(r) && silent(r) {
		switch err := p.checkToken(r); {
		case errors.Is(err, ErrCSRF):
			if !leftOut(p.origins, r) {
				p.deny.ServeHTTP(w, r)
				return
			}
		case err != nil:
			p.manager.Error(w, r, err)
			return
		}
	}
	p.next.ServeHTTP(w, r)
}

// checkToken returns ErrCSRF for a request that rides on a session and does not
// bring its token.
func (p *protection) checkToken(r *http.Request) error {
	s := p.manager.From(r)
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
	http.Error(w, "This request does not come from a page of this site. Please load the page again.", http.StatusForbidden)
}

// denyAs refuses requests as an http.CrossOriginProtection does. It asks for
// no permission to call its handler but a request that it refuses.
func denyAs(origins *http.CrossOriginProtection) http.Handler {
	refuse := origins.Handler(http.HandlerFunc(denied))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origins.Check(r) == nil {
			whole := r
			r = fromElsewhere(asChange(r), r.Header.Clone())
			defer handBack(whole, r) // the files of a form, say
		}
		refuse.ServeHTTP(w, r)
	})
}

// leftOut reports whether the origin of a request counts for nothing, because
// its path was left out: one that came from elsewhere would be let through.
func leftOut(origins *http.CrossOriginProtection, r *http.Request) bool {
	return origins.Check(fromElsewhere(r, make(http.Header))) == nil
}

// fromElsewhere returns the request as if it came from another site.
func fromElsewhere(r *http.Request, header http.Header) *http.Request {
	elsewhere := *r
	header.Set("Sec-Fetch-Site", "cross-site")
	elsewhere.Header = header
	return &elsewhere
}

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

package session

import (
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"weak"
)

// nestedIn reports a clash if outer, a manager around this one, has the same
// cookie.
func (m *Manager) nestedIn(outer *Manager, r *http.Request) {
	if m.settings.CookieName == outer.settings.CookieName {
		m.clashes(outer, r, "is around")
	}
}

// clashes reports, once for both, that two managers get in each other's way.
func (m *Manager) clashes(other *Manager, r *http.Request, how string) {
	if !pathsMeet(m.wanted(r).Path, other.wanted(r).Path) || m.clash.Load() && other.clash.Load() {
		return
	}
	first := !m.clash.Swap(true)
	if first = !other.clash.Swap(true) || first; !first {
		return
	}
	m.event(r.Context(), Event{Kind: EventClash, Err: fmt.Errorf(
		"%w: a manager of the cookie %s %s one of the cookie %s; give each a CookieName of its own, or use one manager for both",
		ErrSettings, other.describe(), how, m.describe())})
}

// wanted returns the scope of a request's cookie as far as it matters here: with
// Secure as set, and unchecked.
func (m *Manager) wanted(r *http.Request) CookieScope {
	scope := m.settings.scope()
	if m.settings.CookieFor != nil {
		scope = m.settings.CookieFor(r, scope)
	}
	return scope
}

func (m *Manager) describe() string {
	where := m.madeAt
	if m.settings.CookieDomain != "" {
		where = "domain " + m.settings.CookieDomain + ", " + where
	}
	return fmt.Sprintf("%q (path %s, %s)", m.settings.CookieName, m.settings.CookiePath, where)
}

// callerOfNew returns where in the program a manager is made.
func callerOfNew() string {
	_, file, line, ok := runtime.Caller(2)
	if !ok {
		return "made somewhere"
	}
	return fmt.Sprintf("made at %s:%d", filepath.Base(file), line)
}

// pathsMeet reports whether a browser sends the cookies of both paths together.
func pathsMeet(a, b string) bool { return beneathPath(a, b) || beneathPath(b, a) }

func beneathPath(a, b string) bool {
	return a == b || strings.HasPrefix(b, a) && (strings.HasSuffix(a, "/") || b[len(a)] == '/')
}

// cookiePlaces records which of the process's managers sends new cookies where,
// since managers side by side do not see each other. Two that send in turns are
// in use at the same time; one that only took another's place is not. Managers
// without a server, as in tests, and managers of different servers do not meet.
// Entries keep nothing alive.
var cookiePlaces struct {
	mu     sync.Mutex
	places map[cookiePlace][]cookieSender
	time   uint64
}

type cookiePlace struct {
	server     weak.Pointer[http.Server]
	host, name string
}

type cookieSender struct {
	manager weak.Pointer[Manager]
	path    string
	last    uint64 // when it last sent a cookie
	back    bool   // it sent one, then another did, then it sent one again
}

// Clients choose the hosts, so the entries are bounded.
const (
	maxPlaces  = 1024
	maxSenders = 8
)

// sendsCookie records that a new cookie goes out.
func (m *Manager) sendsCookie(r *http.Request) {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server == nil || m.clash.Load() {
		return
	}
	// The host that a proxy reports only tells apart sites that it serves under one
	// name.
	site := strings.ToLower(strings.Join(append([]string{r.Host}, r.Header["X-Forwarded-Host"]...), " "))
	scope := m.wanted(r)
	hosts := [2]string{site, scope.Domain}
	for _, host := range hosts {
		if host == "" {
			continue
		}
		place := cookiePlace{weak.Make(server), host, m.settings.CookieName}
		if other := m.sendsTo(place, scope.Path); other != nil {
			m.clashes(other, r, "stands beside")
		}
	}
}

// sendsTo returns a manager that sends cookies to the same place in turns with
// this one.
func (m *Manager) sendsTo(place cookiePlace, path string) (other *Manager) {
	c := &cookiePlaces
	c.mu.Lock()
	defer c.mu.Unlock()
	senders, known := c.places[place]
	if !known && len(c.places) >= maxPlaces && !forgetPlaces() {
		return nil
	}
	me := weak.Make(m)
	mine := -1
	for i := range senders {
		if senders[i].manager == me {
			mine = i
		}
	}
	if mine < 0 {
		if len(senders) == maxSenders {
			return nil
		}
		mine = len(senders)
		senders = append(senders, cookieSender{manager: me})
	}
	c.time++
	for i := range senders {
		s := &senders[i]
		if i == mine || senders[mine].last == 0 || s.last < senders[mine].last {
			continue
		}
		o := s.manager.Value()
		if o == nil || !pathsMeet(path, s.path) {
			continue
		}
		senders[mine].back = true
		if s.back {
			other = o
		}
	}
	senders[mine].last, senders[mine].path = c.time, path
	if c.places == nil {
		c.places = make(map[cookiePlace][]cookieSender)
	}
	c.places[place] = senders
	return other
}

// forgetPlaces drops places whose server or managers are gone, and reports
// whether there is room again.
func forgetPlaces() bool {
	for place, senders := range cookiePlaces.places {
		alive := false
		for _, s := range senders {
			alive = alive || s.manager.Value() != nil
		}
		if !alive || place.server.Value() == nil {
			delete(cookiePlaces.places, place)
		}
	}
	return len(cookiePlaces.places) < maxPlaces
}

// Package visitors simulates browsers for tests of what a server may lose. Each
// makes requests, remembers what it was told, and reports when that is no longer
// true.
package visitors

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// What a visitor asks a server for. A server without a renewal of its own may use a
// log-in instead.
const (
	Bump  = "/bump"  // increments the count, and answers with it
	Renew = "/renew" // gives the session another id
	LogIn = "/login" // the same, and says whose session it is
	End   = "/end"   // ends the session, whose cookie is then useless
	Show  = "/show"  // answers with the count, 0 if there is no session
)

// Site is a server as visitors see it.
type Site struct {
	T   testing.TB
	URL *url.URL

	// Ask makes a request for who, with the cookies in jar, and updates the jar. It
	// returns the count, and whether the request was done. It checks that a session
	// that is shown is the visitor's own.
	Ask func(jar http.CookieJar, what, who string) (n int, ok bool)

	// Gone reports whether the power or the server is gone.
	Gone func() bool
}

func (s *Site) clone(jar http.CookieJar) http.CookieJar {
	to, _ := cookiejar.New(nil)
	to.SetCookies(s.URL, jar.Cookies(s.URL))
	return to
}

// Visitor is a browser that remembers what it was told.
type Visitor struct {
	Name string

	jars   []http.CookieJar // where the session may be: after a failed renewal, under either id
	least  int              // the count as last answered, 0 before the first answer
	most   int              // including those that were asked for and refused
	saved  int              // the count that was durable when Saved was called
	ending bool             // an end was asked for but refused
	cut    string           // what was asked for when the power went
	ended  []http.CookieJar
	story  []string // requests and answers, for when something goes wrong
}

func (v *Visitor) tell(s *Site, what string, jar http.CookieJar, n int, ok bool) {
	id := "none"
	if cookies := jar.Cookies(s.URL); len(cookies) > 0 {
		id = cookies[0].Value[:min(8, len(cookies[0].Value))]
	}
	v.note(fmt.Sprintf("%s: %d %v, then with %s", what, n, ok, id))
}

func (v *Visitor) note(line string) {
	v.story = append(v.story, line)
	v.story = v.story[max(0, len(v.story)-40):]
}

// Visit makes requests, chosen from what it may ask for, while more returns true and
// until the power is gone. It begins with a Bump in any case.
func (v *Visitor) Visit(s *Site, rng *rand.Rand, may []string, more func() bool) {
	for !s.Gone() && more() {
		if len(v.jars) == 0 {
			jar, _ := cookiejar.New(nil)
			*v = Visitor{Name: v.Name, jars: []http.CookieJar{jar}, ended: v.ended, story: v.story}
		}
		if !v.find(s) {
			continue
		}
		what := Bump
		if v.least > 0 {
			what = may[rng.IntN(len(may))]
		}
		if !v.ask(s, what) {
			return
		}
	}
}

// ask makes a request that changes something, and reports whether there should be
// another.
func (v *Visitor) ask(s *Site, what string) (goOn bool) {
	jar := v.jars[0]
	before := s.clone(jar)
	n, ok := s.Ask(jar, what, v.Name)
	v.tell(s, what, jar, n, ok)
	switch {
	case !ok && s.Gone():
		v.cut = what
		if what == Bump {
			v.most++
		}
		v.jars = []http.CookieJar{jar, before}
		return false
	case !ok && what == Bump:
		v.most++
	case !ok && what == End:
		v.ending, v.jars = true, []http.CookieJar{before}
	case !ok:
		v.jars = []http.CookieJar{jar, before}
	case what == Bump:
		if n <= v.least || n > v.most+1 {
			s.T.Errorf("%s was at %d to %d, but the next answer was %d:\n%s", v.Name, v.least, v.most, n, v.told())
			return false
		}
		v.least, v.most = n, n
	case what == End:
		v.ended, v.jars = append(v.ended, before), nil
	default:
		v.ended = append(v.ended, before)
	}
	return true
}

func (v *Visitor) told() string { return strings.Join(v.story, "\n") }

// find finds out where the visitor's session is, and reports whether it could.
func (v *Visitor) find(s *Site) bool {
	if len(v.jars) == 1 && !v.ending || v.least == 0 {
		v.jars = v.jars[:1]
		return true
	}
	for _, jar := range v.jars {
		n, ok := s.Ask(s.clone(jar), Show, v.Name)
		v.tell(s, Show, jar, n, ok)
		if !ok {
			return false // the server is in trouble
		}
		if n != 0 {
			if n < v.least || n > v.most {
				s.T.Errorf("%s was at %d to %d, but has %d:\n%s", v.Name, v.least, v.most, n, v.told())
			}
			v.jars, v.least, v.most, v.ending = []http.CookieJar{jar}, n, n, false
			return true
		}
	}
	// A visitor who asks for an end may get it without being told. If the power went
	// during a renewal, nobody was told the new id.
	if !v.ending && v.cut != End && v.cut != Renew && v.cut != LogIn {
		s.T.Errorf("%s was at %d to %d, but has no session:\n%s", v.Name, v.least, v.most, v.told())
	}
	v.jars = nil
	return false
}

// Check requires that a server that is well still has everything that the visitor
// was told.
func (v *Visitor) Check(s *Site) {
	s.T.Helper()
	for i, jar := range v.ended {
		n, ok := s.Ask(s.clone(jar), Show, v.Name)
		v.tell(s, "ended", jar, n, ok)
		switch {
		case !ok:
			s.T.Fatalf("%s cannot ask for its ended session %d:\n%s", v.Name, i, v.told())
		case n != 0:
			s.T.Fatalf("a session of %s that was ended came back:\n%s", v.Name, v.told())
		}
	}
	v.ended = v.ended[max(0, len(v.ended)-8):]
	if len(v.jars) > 0 && v.least > 0 {
		if len(v.jars) == 1 {
			v.jars = append(v.jars, s.clone(v.jars[0])) // so that find looks
		}
		v.find(s)
	} else {
		v.jars = nil
	}
	v.cut = ""
	v.note("everything that was told was there")
}

// Saved notes that everything that the visitor was told so far is durable.
func (v *Visitor) Saved() { v.saved = v.least }

// Unsaved notes that what the visitor was told since Saved, which must be bumps
// alone, may be lost.
func (v *Visitor) Unsaved() {
	if v.least = v.saved; v.least == 0 {
		v.jars = nil
	}
}

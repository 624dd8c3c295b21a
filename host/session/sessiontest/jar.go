package sessiontest

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// jar is the standard library's cookie jar with another clock: the inner jar
// knows which cookie belongs where, this one when it goes.
type jar struct {
	clock *Clock

	mu   sync.Mutex
	jar  *cookiejar.Jar
	kept map[kept]life
}

// kept tells cookies apart.
type kept struct{ host, domain, path, name string } // host is empty with a domain

type life struct {
	from   *url.URL
	cookie http.Cookie
	until  time.Time // zero: until the browser closes
}

func newJar(clock *Clock) *jar {
	inner, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it never fails without options
	}
	return &jar{clock: clock, jar: inner, kept: make(map[kept]life)}
}

// longest is the longest time for which a browser keeps a cookie.
const longest = 400 * 24 * time.Hour

// SetCookies implements [http.CookieJar].
func (j *jar) SetCookies(from *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock.Now()
	for _, c := range cookies {
		until := time.Time{}
		switch {
		case c.MaxAge < 0:
			until = now
		case c.MaxAge > 0:
			until = now.Add(time.Duration(c.MaxAge) * time.Second)
		case !c.Expires.IsZero():
			until = c.Expires
		}
		// Browsers keep no cookie longer, whatever they are told.
		if latest := now.Add(longest); until.After(latest) {
			until = latest
		}
		if c.SameSite == http.SameSiteNoneMode && !c.Secure {
			continue // browsers refuse it
		}
		id := identify(from, c)
		l := life{from: from, cookie: *c, until: until}
		l.cookie.MaxAge, l.cookie.Expires = 0, time.Time{}
		if !until.IsZero() && !now.Before(until) {
			j.drop(id, l)
			continue
		}
		cookie := l.cookie
		j.jar.SetCookies(from, []*http.Cookie{&cookie})
		if j.took(from, id, c) {
			j.kept[id] = l
		}
	}
}

// identify returns which cookie of an earlier response this one replaces.
func identify(from *url.URL, c *http.Cookie) kept {
	id := kept{domain: strings.ToLower(strings.TrimPrefix(c.Domain, ".")), path: c.Path, name: c.Name}
	if id.domain == "" {
		id.host = from.Hostname()
	}
	if !strings.HasPrefix(id.path, "/") {
		id.path = path.Dir("/" + strings.TrimPrefix(from.Path, "/") + "x")
	}
	return id
}

// took reports whether the inner jar kept a cookie: it refuses one for a domain
// that is not the sender's.
func (j *jar) took(from *url.URL, id kept, c *http.Cookie) bool {
	for _, has := range j.jar.Cookies(&url.URL{Scheme: "https", Host: from.Host, Path: id.path}) {
		if has.Name == c.Name && has.Value == c.Value {
			return true
		}
	}
	return false
}

// Cookies implements [http.CookieJar].
func (j *jar) Cookies(to *url.URL) []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.expire()
	return j.jar.Cookies(to)
}

// sameSite returns the SameSite of a cookie that goes to an address.
func (j *jar) sameSite(to *url.URL, name, value string) http.SameSite {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, l := range j.kept {
		if id.name == name && l.cookie.Value == value && (id.host == to.Hostname() || within(to.Hostname(), id.domain)) {
			return l.cookie.SameSite
		}
	}
	return http.SameSiteNoneMode // not the browser's: the author of the request put it there
}

// named returns the cookies of a name, wherever they belong.
func (j *jar) named(name string) (cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.expire()
	for id, l := range j.kept {
		if id.name == name {
			cookies = append(cookies, &l.cookie)
		}
	}
	return cookies
}

func (j *jar) restart() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, l := range j.kept {
		if l.until.IsZero() {
			j.drop(id, l)
		}
	}
}

func (j *jar) expire() {
	now := j.clock.Now()
	for id, l := range j.kept {
		if !l.until.IsZero() && !now.Before(l.until) {
			j.drop(id, l)
		}
	}
}

func (j *jar) drop(id kept, l life) {
	l.cookie.MaxAge = -1
	j.jar.SetCookies(l.from, []*http.Cookie{&l.cookie})
	delete(j.kept, id)
}

package sessiontest

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// pageKey is the key of a request's page in its context.
type pageKey struct{}

// sites sends the requests of pages as browsers do: without the cookies that are
// not for other sites, and with headers that say where they come from.
type sites struct {
	next http.RoundTripper // nil for http.DefaultTransport
	jar  *jar
}

func (s sites) RoundTrip(r *http.Request) (*http.Response, error) {
	next := s.next
	if next == nil {
		next = http.DefaultTransport
	}
	page, _ := r.Context().Value(pageKey{}).(*url.URL)
	if page == nil {
		return next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	changes := r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions
	if relation(page, r.URL) == crossSite {
		cookies := r.Cookies()
		r.Header.Del("Cookie")
		for _, c := range cookies {
			switch s.jar.sameSite(r.URL, c.Name, c.Value) {
			case http.SameSiteNoneMode:
			case http.SameSiteStrictMode:
				continue
			default: // Lax, like one that says nothing
				if changes {
					continue
				}
			}
			r.AddCookie(c)
		}
	}
	say := func(name, value string) {
		if _, said := r.Header[name]; !said {
			r.Header[name] = []string{value}
		}
	}
	if told(r.URL) {
		// It covers the whole way here: a response from elsewhere does not become one
		// of this site by going through it.
		site := relation(page, r.URL)
		for hop := r.Response; hop != nil; hop = hop.Request.Response {
			site = max(site, relation(page, hop.Request.URL))
		}
		say("Sec-Fetch-Site", site.String())
		say("Sec-Fetch-Mode", "navigate")
		say("Sec-Fetch-Dest", "document")
	}
	if changes {
		say("Origin", page.Scheme+"://"+page.Host)
	}
	return next.RoundTrip(r)
}

// site is how near a request's address is to its page.
type site int

const (
	sameOrigin site = iota
	sameSite
	crossSite
)

func (s site) String() string { return [...]string{"same-origin", "same-site", "cross-site"}[s] }

func relation(page, to *url.URL) site {
	switch {
	case page.Scheme != to.Scheme:
		return crossSite
	case page.Host == to.Host:
		return sameOrigin
	case within(page.Hostname(), to.Hostname()) || within(to.Hostname(), page.Hostname()):
		return sameSite
	}
	return crossSite
}

// within reports whether a host is a domain or lies within it.
func within(host, domain string) bool {
	return domain != "" && (host == domain || strings.HasSuffix(host, "."+domain) && net.ParseIP(host) == nil)
}

// told reports whether browsers tell an address where a request comes from: they
// do if nobody on the way can have written it.
func told(to *url.URL) bool {
	host := to.Hostname()
	ip := net.ParseIP(host)
	return to.Scheme == "https" || within(host, "localhost") || ip != nil && ip.IsLoopback()
}

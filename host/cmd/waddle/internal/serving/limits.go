package serving

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Limits bound what the clients of a [Service] may take. 0 stands for the default.
type Limits struct {
	// Connections is how many there may be at a time, of all clients together. One more
	// is answered with 429 and closed. Default 1024.
	Connections int

	// Requests is how many may be under way at a time, which matters with HTTP/2 and
	// bounds memory. Default 256.
	Requests int

	// Rate is how many requests a second each client may make, with bursts of as many:
	// each name in a certificate and each user of a socket is a client. Default 10000;
	// less than 0 for no bound.
	Rate int

	// MaxBody is the largest body of a request, in bytes. Default Settings.MaxSize and
	// 64 KiB.
	MaxBody int64
}

// The defaults of limits.
const (
	DefaultConnections = 1024
	DefaultRequests    = 256
	DefaultRate        = 10000
)

func (l Limits) withDefaults() Limits {
	l.Connections = cmp.Or(l.Connections, DefaultConnections)
	l.Requests = cmp.Or(l.Requests, DefaultRequests)
	l.Rate = cmp.Or(l.Rate, DefaultRate)
	return l
}

// gate decides whose requests are answered.
type gate struct {
	limits    Limits
	names     []string // of those who may come by TLS
	onlyNamed bool     // nobody may, rather than everybody, if there are no names
	under     chan struct{}
	rates     *rates
}

func newGate(l Limits, names []string) gate {
	return gate{limits: l, names: names, under: make(chan struct{}, l.Requests), rates: &rates{each: float64(l.Rate), of: make(map[string]*bucket)}}
}

// enter lets a request in, or says why not. leave must be called when it is done.
func (g *gate) enter(r *http.Request, client string) (leave func(), err error) {
	p := peerOf(r.Context())
	if r.Header.Get("Origin") != "" {
		return nil, problemf(http.StatusForbidden, codeForbidden, "the request comes from a page in a browser: must come from a program of yours; pages must not have ids of sessions")
	}
	if err := g.admits(r, p); err != nil {
		return nil, err
	}
	if p.over {
		return nil, tooMany(time.Second, "there are more than %d connections, which is --max-connections", g.limits.Connections)
	}
	if g.limits.Rate > 0 {
		if wait := g.rates.take(client, time.Now()); wait > 0 {
			return nil, tooMany(wait, "this client makes more than %d requests a second, which is --rate", g.limits.Rate)
		}
	}
	select {
	case g.under <- struct{}{}:
		return func() { <-g.under }, nil
	default:
		return nil, tooMany(time.Second, "there are more than %d requests under way, which is --max-requests", g.limits.Requests)
	}
}

func tooMany(wait time.Duration, format string, args ...any) error {
	p := problemf(http.StatusTooManyRequests, codeTooMany, format, args...)
	p.wait = wait
	return p
}

// admits returns an error for a client by TLS whose certificate is not accepted, or no
// longer.
func (g *gate) admits(r *http.Request, p *peer) error {
	if r.TLS == nil {
		return nil // a socket, which has its mode
	}
	if len(r.TLS.PeerCertificates) == 0 {
		return problemf(http.StatusForbidden, codeForbidden, "the client has no certificate: must have one")
	}
	leaf := r.TLS.PeerCertificates[0]
	if now := time.Now(); now.After(leaf.NotAfter) {
		return problemf(http.StatusForbidden, codeForbidden, "the client's certificate has expired since it connected")
	}
	if len(g.names) == 0 && !g.onlyNamed {
		return nil
	}
	for _, name := range namesOf(leaf) {
		if slices.Contains(g.names, name) {
			return nil
		}
	}
	return problemf(http.StatusForbidden, codeForbidden, "the client %s is not accepted here: must be named with --client or --admin-client", excerpt(p.name(r)))
}

// rates are buckets of tokens, one for each client.
type rates struct {
	mu   sync.Mutex
	each float64
	of   map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// maxBuckets bounds the memory for clients. Those that have waited long enough begin
// anew anyway.
const maxBuckets = 4096

// take takes a token, or returns how long to wait for one.
func (r *rates) take(client string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.of[client]
	if b == nil {
		if len(r.of) >= maxBuckets {
			for name, other := range r.of {
				if now.Sub(other.at) > time.Second {
					delete(r.of, name)
				}
			}
		}
		b = &bucket{tokens: r.each, at: now}
		r.of[client] = b
	}
	b.tokens = min(r.each, b.tokens+max(0, now.Sub(b.at).Seconds())*r.each)
	b.at = now
	if b.tokens < 1 {
		return max(time.Millisecond, time.Duration((1-b.tokens)/r.each*float64(time.Second)))
	}
	b.tokens--
	return 0
}

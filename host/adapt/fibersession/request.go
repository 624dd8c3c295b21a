package fibersession

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v3"
)

// copiedRequest has all that the session may need of a request. None of it lies in memory
// that fasthttp uses again. Most requests never ask for their session, so their header is
// copied in one piece, and parsed when it is needed.
type copiedRequest struct {
	// The method, the target and so on, each ended by a zero byte, which none of them
	// can contain; then name and value of each header field.
	text string

	remote, local net.Addr
	tls           *tls.ConnectionState
	length        int64
}

const separator = "\x00"

// scratch is memory in which copies are put together.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// take copies a request. It must be called where c may be used.
func (r *copiedRequest) take(c fiber.Ctx) {
	rc := c.RequestCtx()
	h := &rc.Request.Header
	buffer := scratch.Get().(*[]byte)
	b := append((*buffer)[:0], c.Method()...)
	b = append(append(b, separator...), h.RequestURI()...)
	b = append(append(b, separator...), h.Protocol()...)
	b = append(append(b, separator...), h.Host()...)
	for name, value := range h.All() {
		b = append(append(b, separator...), name...)
		b = append(append(b, separator...), value...)
	}
	r.text = string(b)
	*buffer = b
	scratch.Put(buffer)

	r.remote, r.local, r.length = rc.RemoteAddr(), rc.LocalAddr(), int64(h.ContentLength())
	if rc.IsTLS() {
		r.tls = rc.TLSConnectionState()
	}
}

// request returns the copy in net/http's form, without its body.
func (r *copiedRequest) request(ctx context.Context) *http.Request {
	rest := r.text
	next := func() (s string) {
		s, rest, _ = strings.Cut(rest, separator)
		return s
	}
	made := new(http.Request).WithContext(ctx) // one allocation, since the first is none
	made.Method, made.RequestURI, made.Proto, made.Host = next(), next(), next(), next()
	n := strings.Count(rest, separator)/2 + 1
	made.Header = make(http.Header, n)
	lines := make([]string, 0, n)
	for rest != "" {
		name, value := http.CanonicalHeaderKey(next()), next()
		switch before := made.Header[name]; {
		case name == "Host": // has its own field, as in net/http
		case before != nil:
			made.Header[name] = append(before, value)
		default:
			lines = append(lines, value)
			made.Header[name] = lines[len(lines)-1 : len(lines) : len(lines)]
		}
	}
	var ok bool
	if made.ProtoMajor, made.ProtoMinor, ok = http.ParseHTTPVersion(made.Proto); !ok {
		made.ProtoMajor, made.ProtoMinor = 1, 1
	}
	var err error
	if made.URL, err = url.ParseRequestURI(made.RequestURI); err != nil {
		made.URL = &url.URL{Path: made.RequestURI}
	}
	made.Body, made.ContentLength, made.TLS = http.NoBody, r.length, r.tls
	switch remote := r.remote.(type) {
	case nil:
	case *net.TCPAddr:
		at := remote.AddrPort()
		made.RemoteAddr = netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()
	default:
		made.RemoteAddr = remote.String()
	}
	return made
}

package adapttest

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
)

// visitor is a client with at most one cookie, that of its session.
type visitor struct {
	b      *bench
	cookie string // the id
	url    string // the server's address
}

func (b *bench) visitor() *visitor { return &visitor{b: b, url: b.url} }

// reply is a response whose body was read.
type reply struct {
	*http.Response
	body string
}

// open sends a request and returns the response, whose body is still to come. It
// takes over a cookie.
func (v *visitor) open(ctx context.Context, method, path string, header http.Header) *http.Response {
	r, err := http.NewRequestWithContext(ctx, method, v.url+path, nil)
	require.NoError(v.b, err)
	for name, values := range header {
		r.Header[name] = values
	}
	if v.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "session_id", Value: v.cookie})
	}
	var transport http.RoundTripper = v.b.transport
	if v.b.framework.Client != nil {
		transport = v.b.framework.Client(transport)
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	require.NoError(v.b, err)
	if c := sessionCookie(resp); c != nil {
		v.cookie = c.Value
		if c.MaxAge < 0 {
			v.cookie = ""
		}
	}
	return resp
}

// send is open for a response that ends by itself.
func (v *visitor) send(method, path string, header http.Header) reply {
	ctx, cancel := context.WithTimeout(context.Background(), v.b.patience)
	defer cancel()
	resp := v.open(ctx, method, path, header)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(v.b, err)
	return reply{resp, string(body)}
}

func (v *visitor) get(path string) reply  { return v.send(http.MethodGet, path, nil) }
func (v *visitor) post(path string) reply { return v.send(http.MethodPost, path, nil) }

// stored returns what the storage has of the visitor's session now.
func (v *visitor) stored() *session.Session {
	return v.b.sessions.Session(context.Background(), v.cookie)
}

// storedValues returns value, other and visits as they are stored.
func (v *visitor) storedValues() (first, second string, n int) {
	s := v.stored()
	first, second, n = value.Value(s), other.Value(s), visits.Value(s)
	require.NoError(v.b, s.Err())
	return first, second, n
}

// requireStored fails unless the value is stored.
func (v *visitor) requireStored(want string) {
	first, _, _ := v.storedValues()
	require.Equal(v.b, want, first, "the value that is stored")
}

func (v *visitor) requireVisits(want int) {
	_, _, n := v.storedValues()
	require.Equal(v.b, want, n, "the count that is stored")
}

// sessionCookie returns the cookie of the session in a response, or nil.
func sessionCookie(resp *http.Response) *http.Cookie {
	for _, c := range resp.Cookies() {
		if c.Name == "session_id" {
			return c
		}
	}
	return nil
}

// requireNew fails unless a response has exactly one cookie, that of a session.
func (b *bench) requireNew(resp *http.Response) {
	require.Len(b, resp.Header["Set-Cookie"], 1, "the cookies of a response that begins a session")
	require.NotNil(b, sessionCookie(resp), "the session's cookie")
	b.requirePersonal(resp)
}

// requirePersonal fails unless the response keeps caches from giving it to others.
func (b *bench) requirePersonal(resp *http.Response) {
	require.True(b, hasWord(resp.Header, "Vary", "Cookie"), "found Vary %q, want Cookie in it", resp.Header["Vary"])
	require.True(b, hasWord(resp.Header, "Cache-Control", "private") || hasWord(resp.Header, "Cache-Control", "no-store"),
		"found Cache-Control %q, want private", resp.Header["Cache-Control"])
}

// requireAnybodys fails if a response shows that there are sessions.
func (b *bench) requireAnybodys(resp *http.Response) {
	require.Empty(b, resp.Header["Set-Cookie"])
	require.False(b, hasWord(resp.Header, "Vary", "Cookie"), "found Vary %q, want no Cookie in it", resp.Header["Vary"])
	require.False(b, hasWord(resp.Header, "Cache-Control", "private"), "found Cache-Control %q, want no private", resp.Header["Cache-Control"])
}

// hasWord reports whether the list in a header has a word.
func hasWord(h http.Header, name, word string) bool {
	for _, line := range h[name] {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), word) {
				return true
			}
		}
	}
	return false
}

// lines are text lines over a connection.
type lines struct {
	io.Writer
	in *bufio.Reader
}

func newLines(conn net.Conn) *lines { return &lines{conn, bufio.NewReader(conn)} }

func (l *lines) read() (string, error) {
	line, err := l.in.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

func (l *lines) write(line string) error {
	_, err := io.WriteString(l, line+"\n")
	return err
}

// decoded returns a reader of a body as its Content-Encoding says.
func (b *bench) decoded(resp *http.Response) io.Reader {
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return resp.Body
	}
	in, err := gzip.NewReader(resp.Body)
	require.NoError(b, err)
	return in
}

// requireLine fails unless the next line of a stream is this one.
func (b *bench) requireLine(in *bufio.Reader, want string) {
	line, err := in.ReadString('\n')
	require.NoError(b, err, "found %q, want the line %q", line, want)
	require.Equal(b, want, strings.TrimSuffix(line, "\n"))
}

// certificates are those of httptest, which are valid for 127.0.0.1 and example.com.
var certificates = sync.OnceValue(func() tls.Certificate {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	return server.TLS.Certificates[0]
})

// serverTLS is a server's side of a connection with TLS.
func serverTLS() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{certificates()}} }

// clientTLS is the other side.
func clientTLS() *tls.Config {
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(certificates().Certificate[0])
	if err == nil {
		roots.AddCert(leaf)
	}
	return &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

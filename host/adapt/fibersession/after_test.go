package fibersession_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/fibersession"
	"github.com/waddle-sessions/waddle/host/session"
)

// How long a test waits for what must come, and how often it looks.
const (
	wait  = 20 * time.Second
	pause = 2 * time.Millisecond
)

// stream is a handler whose body comes after it has returned.
func stream(text string) fiber.Handler {
	return func(c fiber.Ctx) error {
		return c.SendStreamWriter(func(w *bufio.Writer) {
			_, _ = w.WriteString(text)
			_ = w.Flush()
		})
	}
}

// upgrade is a handler that switches to a protocol in which the server echoes lines,
// after it has called begin.
func upgrade(begin func()) fiber.Handler {
	return func(c fiber.Ctx) error {
		c.Status(fiber.StatusSwitchingProtocols).Set("Upgrade", "echo")
		c.Set("Connection", "Upgrade")
		c.RequestCtx().Hijack(func(conn net.Conn) {
			if begin != nil {
				begin()
			}
			_, _ = io.Copy(conn, conn)
		})
		return nil
	}
}

// ways are those in which something runs when the handler has returned.
var ways = map[string]func(c fiber.Ctx, after func()) error{
	"stream": func(c fiber.Ctx, after func()) error {
		return c.SendStreamWriter(func(w *bufio.Writer) {
			_, _ = w.WriteString("begun")
			_ = w.Flush()
			after()
		})
	},
	"upgrade": func(c fiber.Ctx, after func()) error { return upgrade(after)(c) },
}

// TestStream: the client gets the beginning of a body, with the session's cookie, while
// the end is still to come. Changes by the body's function are saved when it ends.
func TestStream(t *testing.T) {
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newSiteOver(t, open(t), fiber.Config{}).use()
			next := make(chan bool)
			s.App.Get("/events", func(c fiber.Ctx) error {
				own := fibersession.From(c)
				visits.Put(own, 1)
				c.Set("Content-Type", "text/event-stream")
				return c.SendStreamWriter(func(w *bufio.Writer) {
					for n := 1; n <= 3; n++ {
						visits.Put(own, n)
						_, _ = fmt.Fprintf(w, "data: %d\n\n", n)
						_ = w.Flush()
						<-next
					}
				})
			})
			s.App.Get("/visits", func(c fiber.Ctx) error {
				return c.SendString(fmt.Sprint(visits.Value(fibersession.From(c))))
			})
			v := s.open().visitor()

			response, err := v.Get(s.URL + "/events")
			require.NoError(t, err)
			defer func() { _ = response.Body.Close() }()
			require.Len(t, response.Header["Set-Cookie"], 1)
			require.Equal(t, []string{"chunked"}, response.TransferEncoding)
			lines := bufio.NewScanner(response.Body)
			for n := 1; n <= 3; n++ {
				require.True(t, lines.Scan())
				require.Equal(t, fmt.Sprintf("data: %d", n), lines.Text())
				require.True(t, lines.Scan())
				next <- true
			}
			require.False(t, lines.Scan())
			require.Eventually(t, func() bool { return v.get("/visits").text == "3" }, wait, pause)
			require.Empty(t, s.of(session.EventFailed))
		})
	}
}

// TestChangesAfterTheResponse: a change that needs a cookie comes too late for one, and
// is reported: by an error, or by an event if nothing returns errors.
func TestChangesAfterTheResponse(t *testing.T) {
	t.Parallel()
	for kind, late := range map[string]struct {
		change func(*session.Session) error
		told   bool // by an error
	}{
		"Put":    {func(s *session.Session) error { name.Put(s, "ada"); return nil }, false},
		"LogIn":  {func(s *session.Session) error { return s.LogIn("ada", nil) }, true},
		"Renew":  {func(s *session.Session) error { return s.Renew() }, true},
		"Save":   {func(s *session.Session) error { name.Put(s, "ada"); return s.Save() }, true},
		"Update": {func(s *session.Session) error { _, err := session.Increment(s, visits, 1); return err }, true},
	} {
		for way, serve := range ways {
			t.Run(kind+" in a "+way, func(t *testing.T) {
				s := newSite(t).use()
				left, result := make(chan bool), make(chan error, 1)
				s.App.Get("/", func(c fiber.Ctx) error {
					own := fibersession.From(c)
					_, err := own.Exists() // caches are told
					require.NoError(t, err)
					return serve(c, func() { <-left; result <- late.change(own) })
				})
				s.open()
				conn, reader := s.dial("/")
				response, err := http.ReadResponse(reader, nil)
				require.NoError(t, err)
				close(left)
				err = <-result
				_ = conn.Close()
				require.Empty(t, response.Cookies())
				if late.told {
					require.ErrorIs(t, err, session.ErrHeadersSent)
					return
				}
				require.NoError(t, err)
				require.Eventually(t, func() bool { return len(s.of(session.EventFailed)) == 1 }, wait, pause)
				require.ErrorIs(t, s.of(session.EventFailed)[0].Err, session.ErrHeadersSent)
			})
		}
	}
}

// TestFirstLookAfterTheResponse: a cache may keep the response and give it to others,
// unless the response says that it may not.
func TestFirstLookAfterTheResponse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, control string
		want          error
	}{
		{"cacheable", "", session.ErrHeadersSent},
		{"not to be stored", "no-store", nil},
		{"upgraded", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t).use()
			left, result := make(chan bool), make(chan error, 1)
			s.App.Get("/", func(fc fiber.Ctx) error {
				if c.control != "" {
					fc.Set("Cache-Control", c.control)
				}
				ctx := fc.Context()
				way := "stream"
				if c.name == "upgraded" {
					way = "upgrade"
				}
				return ways[way](fc, func() {
					<-left
					own, _ := session.FromContext(ctx)
					_, err := name.Get(own)
					result <- err
				})
			})
			s.open()
			conn, reader := s.dial("/")
			_, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			close(left)
			require.ErrorIs(t, <-result, c.want)
			require.NoError(t, conn.Close())
		})
	}
}

// dial sends a GET over a connection of its own and returns that, with a reader of what
// comes back.
func (s *site) dial(path string, header ...string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(s.t, err)
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: example.com\r\n%s\r\n", path, strings.Join(append(header, ""), "\r\n"))
	require.NoError(s.t, err)
	return conn, bufio.NewReader(conn)
}

// TestUpgrade: a new session's cookie goes out with the answer that switches protocols,
// and what is changed afterwards is saved when the connection ends.
func TestUpgrade(t *testing.T) {
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newSiteOver(t, open(t), fiber.Config{}).use()
			s.App.Get("/show", show)
			s.App.Get("/echo", func(c fiber.Ctx) error {
				own := fibersession.From(c)
				name.Put(own, "ada")
				return upgrade(func() { name.Put(own, name.Value(own)+" of the socket") })(c)
			})
			s.open()
			conn, reader := s.dial("/echo", "Upgrade: echo", "Connection: Upgrade")
			response, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
			require.Len(t, response.Cookies(), 1)
			_, err = io.WriteString(conn, "hello\n")
			require.NoError(t, err)
			line, err := reader.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "hello\n", line)

			cookie := "Cookie: session_id=" + response.Cookies()[0].Value
			v := s.visitor()
			require.Equal(t, "ada", v.get("/show", cookie).text)
			require.NoError(t, conn.Close())
			require.Eventually(t, func() bool { return v.get("/show", cookie).text == "ada of the socket" }, wait, pause)
		})
	}
}

// TestBehindHTTP2: a proxy in front speaks HTTP/2 with clients, and their connection
// decides about Secure.
func TestBehindHTTP2(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(set *session.Settings) {
		set.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}).use()
	s.App.Get("/put", put)
	s.App.Get("/show", show)
	s.open()
	to, err := url.Parse(s.URL)
	require.NoError(t, err)
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
	}})
	front.EnableHTTP2 = true
	front.StartTLS()
	t.Cleanup(front.Close)
	s.URL = front.URL
	v := s.visitor()
	v.Transport = front.Client().Transport
	begun := v.get("/put")
	require.Equal(t, 2, begun.ProtoMajor)
	require.True(t, begun.cookie("session_id").Secure)
	require.Equal(t, "ada", v.get("/show").text)
}

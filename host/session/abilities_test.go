package session_test

//lint:file-ignore SA1019 http.CloseNotifier is what gin asks for

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// These writers can each do one thing, and are combined below.
type (
	canFlush  struct{}
	canFail   struct{} // to flush, and reports it
	canHijack struct{}
	canNotify struct{}
	canPush   struct{}
)

func (canFlush) Flush()                                          {}
func (canFail) FlushError() error                                { return errFault }
func (canHijack) Hijack() (net.Conn, *bufio.ReadWriter, error)   { return nil, nil, errFault }
func (canNotify) CloseNotify() <-chan bool                       { return nil }
func (canPush) Push(target string, opts *http.PushOptions) error { return errFault }

// claimed lists the abilities that a writer claims.
func claimed(w http.ResponseWriter) (list string) {
	if _, ok := w.(http.Flusher); ok {
		list += "F"
	}
	if _, ok := w.(http.Hijacker); ok {
		list += "H"
	}
	if _, ok := w.(http.CloseNotifier); ok {
		list += "C"
	}
	if _, ok := w.(http.Pusher); ok {
		list += "P"
	}
	return list
}

type unwrapping struct {
	http.ResponseWriter
	beneath http.ResponseWriter
}

func (w unwrapping) Unwrap() http.ResponseWriter { return w.beneath }

type bare struct{ http.ResponseWriter }

// TestClaimsWhatIsBeneath: handlers that ask for a writer's abilities by
// assertion get the same answer as without sessions.
func TestClaimsWhatIsBeneath(t *testing.T) {
	var w http.ResponseWriter = bare{httptest.NewRecorder()}
	for want, beneath := range map[string]http.ResponseWriter{
		"": w,
		"F": struct {
			http.ResponseWriter
			canFlush
		}{w, canFlush{}},
		"H": struct {
			http.ResponseWriter
			canHijack
		}{w, canHijack{}},
		"C": struct {
			http.ResponseWriter
			canNotify
		}{w, canNotify{}},
		"P": struct {
			http.ResponseWriter
			canPush
		}{w, canPush{}},
		"FH": struct {
			http.ResponseWriter
			canFlush
			canHijack
		}{w, canFlush{}, canHijack{}},
		"FC": struct {
			http.ResponseWriter
			canFlush
			canNotify
		}{w, canFlush{}, canNotify{}},
		"FP": struct {
			http.ResponseWriter
			canFlush
			canPush
		}{w, canFlush{}, canPush{}},
		"FHC": struct {
			http.ResponseWriter
			canFlush
			canHijack
			canNotify
		}{w, canFlush{}, canHijack{}, canNotify{}},
		"FHP": struct {
			http.ResponseWriter
			canFlush
			canHijack
			canPush
		}{w, canFlush{}, canHijack{}, canPush{}},
		"FCP": struct {
			http.ResponseWriter
			canFlush
			canNotify
			canPush
		}{w, canFlush{}, canNotify{}, canPush{}},
		"FHCP": struct {
			http.ResponseWriter
			canFlush
			canHijack
			canNotify
			canPush
		}{w, canFlush{}, canHijack{}, canNotify{}, canPush{}},
	} {
		for _, c := range []struct {
			name    string
			beneath http.ResponseWriter
			want    string
		}{
			{"as it is", beneath, want},
			{"wrapped by something that tells what", unwrapping{bare{beneath}, beneath}, want},
			{"wrapped by something that does not", bare{beneath}, ""},
		} {
			t.Run(want+" "+c.name, func(t *testing.T) {
				a, again := newApp(t, store.NewMemory()), newApp(t, store.NewMemory(), func(s *session.Settings) { s.CookieName = "other" })
				a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					require.Equal(t, c.want, claimed(w))
					again.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						require.Equal(t, c.want, claimed(w), "of two managers")
						if strings.Contains(c.want, "H") {
							_, _, err := w.(http.Hijacker).Hijack()
							require.ErrorIs(t, err, errFault)
						}
						if strings.Contains(c.want, "P") {
							require.ErrorIs(t, w.(http.Pusher).Push("/style.css", nil), errFault)
						}
						if strings.Contains(c.want, "C") {
							w.(http.CloseNotifier).CloseNotify()
						}
						if strings.Contains(c.want, "F") {
							w.(http.Flusher).Flush()
						}
						if !strings.Contains(c.want, "F") {
							require.ErrorIs(t, http.NewResponseController(w).Flush(), http.ErrNotSupported)
						}
						if !strings.Contains(c.want, "H") {
							_, _, err := http.NewResponseController(w).Hijack()
							require.ErrorIs(t, err, http.ErrNotSupported)
						}
					})).ServeHTTP(w, r)
				})).ServeHTTP(c.beneath, httptest.NewRequest(http.MethodGet, "/", nil))
			})
		}
	}
	t.Run("several but no flush", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			require.Equal(t, "H", claimed(w), "never more than is there")
		})).ServeHTTP(struct {
			http.ResponseWriter
			canHijack
			canNotify
			canPush
		}{w, canHijack{}, canNotify{}, canPush{}},
			httptest.NewRequest(http.MethodGet, "/", nil))
	})
	t.Run("a flush that may fail", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			require.Equal(t, "F", claimed(w))
			require.ErrorIs(t, http.NewResponseController(w).Flush(), errFault)
		})).ServeHTTP(struct {
			http.ResponseWriter
			canFail
		}{w, canFail{}}, httptest.NewRequest(http.MethodGet, "/", nil))
	})
}

// TestClaimsOfServers: handlers see what net/http's own writers claim, for each
// protocol and within http.TimeoutHandler.
func TestClaimsOfServers(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		for name, around := range map[string]func(http.Handler) http.Handler{
			"alone":               func(h http.Handler) http.Handler { return h },
			"http.TimeoutHandler": func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "too slow") },
		} {
			t.Run(name, func(t *testing.T) {
				a := newApp(t, store.NewMemory())
				report := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, claimed(w)) })
				answers := map[string]string{}
				for path, h := range map[string]http.Handler{"without": report, "with": a.manager.Handler(report)} {
					server := serveOver(t, http2, around(h))
					r, err := http.NewRequest(http.MethodGet, server.URL, nil)
					require.NoError(t, err)
					answers[path] = fetch(t, server.Client(), r).body
				}
				require.Equal(t, answers["without"], answers["with"])
			})
		}
	})
}

// TestCloseNotify: handlers that still use CloseNotify hear when a client
// leaves.
func TestCloseNotify(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		begun, told := make(chan struct{}), make(chan struct{})
		s := newSite(t, http2, func(w http.ResponseWriter, _ *http.Request) {
			gone := w.(http.CloseNotifier).CloseNotify()
			w.(http.Flusher).Flush()
			close(begun)
			<-gone
			close(told)
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-begun; cancel() }()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
		require.NoError(t, err)
		if resp, err := s.client.Do(r); err == nil {
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			require.Error(t, err)
		}
		<-told
	})
}

// TestFlushThatCannotBe: a failed flush begins no response, so the session can
// still be new.
func TestFlushThatCannotBe(t *testing.T) {
	a := newApp(t, store.NewMemory())
	recorder := httptest.NewRecorder()
	a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.ErrorIs(t, http.NewResponseController(w).Flush(), http.ErrNotSupported)
		require.NoError(t, session.From(r).Set("user", "ada"))
	})).ServeHTTP(bare{recorder}, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, "ada", a.peek((&reply{Response: recorder.Result()}).cookie().Value))
}

// TestPush: HTTP/2 supports it, although Go's client refuses pushes.
func TestPush(t *testing.T) {
	s := newSite(t, true, func(w http.ResponseWriter, r *http.Request) {
		require.NoError(t, session.From(r).Set("user", "ada"))
		require.ErrorIs(t, w.(http.Pusher).Push("/style.css", nil), http.ErrNotSupported)
	})
	require.NotNil(t, s.get().cookie(), "a push is no beginning")
}

// TestDeadlines: deadlines set by http.ResponseController apply to the
// connection.
func TestDeadlines(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		failed := make(chan error, 1)
		s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
			_, err := session.From(r).Exists()
			require.NoError(t, err)
			require.NoError(t, http.NewResponseController(w).SetReadDeadline(time.Now().Add(20*time.Millisecond)))
			_, err = io.ReadAll(r.Body)
			failed <- err
		})
		body, sender := io.Pipe()
		defer sender.Close()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, body)
		require.NoError(t, err)
		go func() {
			if resp, err := s.client.Do(r); err == nil {
				resp.Body.Close()
			}
		}()
		err = <-failed
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

// TestFullDuplex: a handler can answer while it reads.
func TestFullDuplex(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("user", "ada"))
			c := http.NewResponseController(w)
			require.NoError(t, c.EnableFullDuplex())
			require.NoError(t, c.Flush())
			lines := bufio.NewScanner(r.Body)
			for lines.Scan() {
				_, _ = fmt.Fprintln(w, "got", lines.Text())
				require.NoError(t, c.Flush())
			}
		})
		body, sender := io.Pipe()
		r, err := http.NewRequest(http.MethodPost, s.url, body)
		require.NoError(t, err)
		if !http2 {
			go func() { _, _ = io.WriteString(sender, "zero\n") }() // without this the client sends no headers
		}
		resp, err := s.client.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.NotNil(t, (&reply{Response: resp}).cookie())
		answers := bufio.NewScanner(resp.Body)
		if !http2 {
			require.True(t, answers.Scan())
		}
		for _, line := range []string{"one", "two"} {
			_, err := io.WriteString(sender, line+"\n")
			require.NoError(t, err)
			require.True(t, answers.Scan())
			require.Equal(t, "got "+line, answers.Text())
		}
		sender.Close()
		require.False(t, answers.Scan())
	})
}

// TestReverseProxy: streams and upgrades pass through a proxy behind sessions.
func TestReverseProxy(t *testing.T) {
	next := make(chan struct{})
	backend := serveOver(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			conn, rw, err := http.NewResponseController(w).Hijack()
			require.NoError(t, err)
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, err := rw.ReadString('\n')
			require.NoError(t, err)
			_, _ = io.WriteString(conn, line)
			return
		}
		for i := range 2 {
			_, _ = fmt.Fprintln(w, i)
			require.NoError(t, http.NewResponseController(w).Flush())
			<-next
		}
	}))
	target, err := url.Parse(backend.URL)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1}
	s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			require.NoError(t, session.From(r).Set("user", "ada"))
		} else {
			_, err := session.From(r).Exists()
			require.NoError(t, err)
		}
		proxy.ServeHTTP(w, r)
	})
	resp, err := s.client.Get(s.url)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NotNil(t, (&reply{Response: resp}).cookie())
	lines := bufio.NewScanner(resp.Body)
	for i := range 2 {
		require.True(t, lines.Scan(), "the stream is passed on as it comes")
		require.Equal(t, fmt.Sprint(i), lines.Text())
		next <- struct{}{}
	}
	conn, br := s.dial("Connection: Upgrade\r\nUpgrade: echo\r\n")
	answer, err := http.ReadResponse(br, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, answer.StatusCode)
	_, err = io.WriteString(conn, "quack\n")
	require.NoError(t, err)
	line, err := br.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "quack\n", line)
}

// TestRangesOfAFile: http.ServeContent serves a file's ranges with sessions
// around it, too.
func TestRangesOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large.bin")
	contents := strings.Repeat("0123456789", 100_000)
	require.NoError(t, os.WriteFile(file, []byte(contents), 0o600))
	overProtocols(t, func(t *testing.T, http2 bool) {
		s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
			_, err := session.From(r).Exists()
			require.NoError(t, err)
			http.ServeFile(w, r, file)
		})
		r, err := http.NewRequest(http.MethodGet, s.url, nil)
		require.NoError(t, err)
		r.Header.Set("Range", "bytes=500000-500009")
		got := fetch(t, s.client, r)
		require.Equal(t, http.StatusPartialContent, got.StatusCode)
		require.Equal(t, "0123456789", got.body)
		require.Equal(t, []string{"header 206", "read from", "a file"}, s.trace.take())
		require.Equal(t, contents, s.get().body)
	})
}

// TestMaxBytes: the limit holds either way. net/http notices a body that is too
// large, and closes the connection, only if http.MaxBytesHandler is outside or
// the answer asks for it.
func TestMaxBytes(t *testing.T) {
	read := func(t *testing.T, w http.ResponseWriter, r *http.Request) {
		require.NoError(t, session.From(r).Set("user", "ada"))
		_, err := io.ReadAll(r.Body)
		var tooLarge *http.MaxBytesError
		require.True(t, errors.As(err, &tooLarge), "%v", err)
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	}
	for _, c := range []struct {
		name    string
		around  func(http.Handler) http.Handler
		handler func(t *testing.T, w http.ResponseWriter, r *http.Request)
		closed  bool
	}{
		{"inside", nil, func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 10)
			read(t, w, r)
		}, false},
		{"inside, and the answer closes", nil, func(t *testing.T, w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 10)
			w.Header().Set("Connection", "close")
			read(t, w, r)
		}, true},
		{"outside", func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 10) }, read, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			h := a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.handler(t, w, r) }))
			if c.around != nil {
				h = c.around(h)
			}
			server := serveOver(t, false, h)
			r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(strings.Repeat("x", 1000)))
			require.NoError(t, err)
			got := fetch(t, server.Client(), r)
			require.Equal(t, http.StatusRequestEntityTooLarge, got.StatusCode)
			require.NotNil(t, got.cookie())
			require.Equal(t, c.closed, got.Close)
		})
	}
}

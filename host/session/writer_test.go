package session_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// site is one handler with sessions behind a real server for one protocol.
type site struct {
	*app
	url    string
	client *http.Client
	trace  *trace
}

// trace records what reaches the ResponseWriter beneath the middleware and what
// reaches the store, in one order.
type trace struct {
	mu    sync.Mutex
	steps []string
}

func (tr *trace) add(step string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.steps = append(tr.steps, step)
}

func (tr *trace) take() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	steps := tr.steps
	tr.steps = nil
	return steps
}

type traced struct {
	http.ResponseWriter
	trace *trace
}

func (w *traced) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *traced) WriteHeader(status int) {
	w.trace.add(fmt.Sprint("header ", status))
	w.ResponseWriter.WriteHeader(status)
}

func (w *traced) Write(p []byte) (int, error) {
	w.trace.add("write")
	return w.ResponseWriter.Write(p)
}

func (w *traced) ReadFrom(r io.Reader) (int64, error) {
	w.trace.add("read from")
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(*os.File); ok {
			w.trace.add("a file")
		}
	}
	return io.Copy(w.ResponseWriter, r)
}

func (w *traced) FlushError() error {
	w.trace.add("flush")
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func newSite(t *testing.T, http2 bool, h http.HandlerFunc, change ...func(*session.Settings)) *site {
	t.Helper()
	s := &site{app: newApp(t, store.NewMemory(), change...), trace: new(trace)}
	s.store.fail(func(o operation) error { s.trace.add(o.name); return nil }, nil) // no fault, only a trace
	wrapped := s.manager.Handler(h)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wrapped.ServeHTTP(&traced{w, s.trace}, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // panics are part of the tests
	server.EnableHTTP2 = http2
	if http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	s.url, s.client = server.URL, server.Client()
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

func (s *site) get(cookies ...string) *reply { s.t.Helper(); return s.do(http.MethodGet, cookies...) }

func (s *site) do(method string, cookies ...string) *reply {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url, nil)
	require.NoError(s.t, err)
	for _, c := range cookies {
		r.Header.Add("Cookie", "session_id="+c)
	}
	return fetch(s.t, s.client, r)
}

func overProtocols(t *testing.T, f func(t *testing.T, http2 bool)) {
	t.Helper()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) { f(t, http2) })
	}
}

// TestSavedBeforeTheResponseBegins: however a handler begins its response, the
// store has the session first and the headers have the cookie.
func TestSavedBeforeTheResponseBegins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.txt")
	require.NoError(t, os.WriteFile(file, []byte("contents"), 0o600))
	for _, c := range []struct {
		name   string
		begin  func(w http.ResponseWriter, r *http.Request)
		steps  []string // that begin the response
		status int
		body   string
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, nil, 200, ""},
		{"Write", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }, []string{"write"}, 200, "x"},
		{"Write of nothing", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) }, []string{"write"}, 200, ""},
		{"WriteString", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, []string{"write"}, 200, "x"},
		{"WriteHeader", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201) }, []string{"header 201"}, 201, ""},
		{"Redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusSeeOther) }, []string{"header 303", "write"}, 303, "*"},
		{"Error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, []string{"header 403", "write"}, 403, "no\n"},
		{"Flush", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, []string{"flush"}, 200, ""},
		{"ResponseController.Flush", func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
		}, []string{"flush"}, 200, ""},
		{"ReadFrom", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
		}, []string{"write"}, 200, "x"}, // strings.Reader writes itself
		{"ServeFile", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) },
			[]string{"header 200", "read from", "a file"}, 200, "contents"},
		{"ServeContent", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("contents"))
		}, []string{"header 200", "read from"}, 200, "contents"},
		{"copied from a file", func(w http.ResponseWriter, _ *http.Request) {
			f, err := os.Open(file)
			require.NoError(t, err)
			defer f.Close()
			_, _ = io.CopyN(w, f, 8)
		}, []string{"read from", "a file"}, 200, "contents"},
		{"two headers", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.WriteHeader(500) },
			[]string{"header 201", "header 500"}, 201, ""}, // net/http logs the second
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, []string{"header 204"}, 204, ""},
		{"not modified", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, []string{"header 304"}, 304, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			overProtocols(t, func(t *testing.T, http2 bool) {
				s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
					require.NoError(t, session.From(r).Set("user", "ada"))
					c.begin(w, r)
				})
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					got := s.do(method)
					require.Equal(t, c.status, got.StatusCode)
					steps := s.trace.take()
					require.Equal(t, "set", steps[0])
					if method == http.MethodGet {
						require.Equal(t, append([]string{"set"}, c.steps...), steps)
						if c.body != "*" {
							require.Equal(t, c.body, got.body)
						}
					} else {
						require.Empty(t, got.body)
					}
					require.NotNil(t, got.cookie())
					require.Equal(t, "ada", s.peek(got.cookie().Value))
					require.Equal(t, "private, no-store", got.Header.Get("Cache-Control"))
					s.trace.take()
				}
			})
		})
	}
}

// TestWhoHasTheResponseFindsTheSession, while the handler still runs.
func TestWhoHasTheResponseFindsTheSession(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		release := make(chan struct{})
		s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, session.From(r).Set("user", "ada"))
			_, _ = io.WriteString(w, "first")
			require.NoError(t, http.NewResponseController(w).Flush())
			<-release
			_, _ = io.WriteString(w, ", second")
		})
		resp, err := s.client.Get(s.url)
		require.NoError(t, err)
		defer resp.Body.Close()
		first := make([]byte, 5)
		_, err = io.ReadFull(resp.Body, first)
		require.NoError(t, err)
		require.Equal(t, "first", string(first))
		require.Equal(t, "ada", s.peek((&reply{Response: resp}).cookie().Value))
		close(release)
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, ", second", string(rest))
	})
}

// TestInformationalResponsesDoNotCount: a change after a 103 is in time.
func TestInformationalResponsesDoNotCount(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			require.NoError(t, session.From(r).Set("user", "ada"))
			_, _ = io.WriteString(w, "x")
		})
		var early []int
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { early = append(early, code); return nil },
		})
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
		require.NoError(t, err)
		got := fetch(t, s.client, r)
		require.Equal(t, []int{103, 102}, early)
		require.Equal(t, []string{"header 103", "header 102", "set", "write"}, s.trace.take())
		require.NotNil(t, got.cookie())
	})
}

func TestResponseControllerReachesTheServer(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		s := newSite(t, http2, func(w http.ResponseWriter, _ *http.Request) {
			c := http.NewResponseController(w)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
			require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Minute)))
			require.NoError(t, c.EnableFullDuplex())
			require.NoError(t, c.Flush())
		})
		require.Equal(t, 200, s.get().StatusCode)
		require.Equal(t, []string{"flush"}, s.trace.take())
	})
}

func TestLateChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		known  bool
		do     func(t *testing.T, s *session.Session)
		failed bool
		user   string
	}{
		{"to a known session are saved", true, func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Set("user", "bob"))
		}, false, "bob"},
		{"and destruction too", true, func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Destroy())
		}, false, ""},
		{"that need a cookie fail where somebody sees it", false, func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Set("user", "bob"))
		}, true, ""},
		{"by Save, which says so", false, func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Set("user", "bob"))
			require.ErrorIs(t, s.Save(), session.ErrHeadersSent)
		}, true, ""},
		{"by Update, which says so", false, func(t *testing.T, s *session.Session) {
			_, err := session.NewKey[string]("user").Update(s, func(string) (string, error) { return "bob", nil })
			require.ErrorIs(t, err, session.ErrHeadersSent)
		}, true, ""},
		{"of the id are refused", true, func(t *testing.T, s *session.Session) {
			require.ErrorIs(t, s.Renew(), session.ErrHeadersSent)
		}, false, "ada"},
		{"after a destruction", true, func(t *testing.T, s *session.Session) {
			require.NoError(t, s.Destroy())
			require.NoError(t, s.Set("user", "bob"))
		}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			overProtocols(t, func(t *testing.T, http2 bool) {
				s := newSite(t, http2, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.WriteString(w, "begun")
					c.do(t, session.From(r))
				})
				var got *reply
				id := ""
				if c.known {
					id = s.login("ada")
					s.kinds()
					s.trace.take()
					got = s.get(id)
				} else {
					got = s.get()
				}
				require.Equal(t, "begun", got.body)
				require.Nil(t, got.cookie())
				require.Equal(t, c.user, s.peek(id))
				var failed []session.Event
				for _, e := range s.takeEvents() {
					if e.Kind == session.EventFailed {
						failed = append(failed, e)
					}
				}
				if !c.failed {
					require.Empty(t, failed)
					return
				}
				require.Len(t, failed, 1)
				require.ErrorIs(t, failed[0].Err, session.ErrHeadersSent)
				sets := 0
				for _, name := range s.trace.take() {
					if name == "set" {
						sets++
					}
				}
				require.Equal(t, map[bool]int{true: 1}[c.known], sets, "nothing but what is left of the session")
			})
		})
	}
}

func TestPanicSavesNothing(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		s := newSite(t, http2, func(_ http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			require.NoError(t, s.Set("kept", 1))
			require.NoError(t, s.Save())
			require.NoError(t, s.Set("user", "bob"))
			panic("a fault for tests")
		})
		id := s.login("ada")
		r, err := http.NewRequest(http.MethodGet, s.url, nil)
		require.NoError(t, err)
		r.Header.Set("Cookie", "session_id="+id)
		_, err = s.client.Do(r)
		require.Error(t, err)
		require.Equal(t, "ada", s.peek(id))
		ok, err := s.manager.Session(context.Background(), id).Has("kept")
		require.NoError(t, err)
		require.True(t, ok, "what Save stored is stored")
	})
}

// TestClientThatHangsUp: the handler's changes are saved, whether or not
// anybody waits for the answer.
func TestClientThatHangsUp(t *testing.T) {
	overProtocols(t, func(t *testing.T, http2 bool) {
		reached, saved := make(chan struct{}), make(chan struct{})
		var id string
		s := newSite(t, http2, func(_ http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			_, err := s.Has("user")
			require.NoError(t, err)
			close(reached)
			<-r.Context().Done()
			_, err = s.Has("user")
			require.NoError(t, err, "what is loaded stays")
			require.NoError(t, s.Set("user", "bob"))
			go func() {
				for s.Modified() {
					time.Sleep(time.Millisecond)
				}
				close(saved)
			}()
		})
		id = s.login("ada")
		ctx, cancel := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
		require.NoError(t, err)
		r.Header.Set("Cookie", "session_id="+id)
		go func() { <-reached; cancel() }()
		_, err = s.client.Do(r)
		require.ErrorIs(t, err, context.Canceled)
		<-saved
		require.Equal(t, "bob", s.peek(id))
	})
}

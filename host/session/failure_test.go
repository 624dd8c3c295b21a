package session_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	nameKey  = session.NewKey[string]("name")
	themeKey = session.NewKey[string]("theme")
	countKey = session.NewKey[int]("count")
)

// failAt returns a fault at the at-th operation of the given name, counted from
// 1.
func failAt(name string, at int, err error) func(operation) error {
	seen := 0
	return func(o operation) error {
		if o.name != name {
			return nil
		}
		if seen++; seen == at {
			return err
		}
		return nil
	}
}

// someone is a browser with a session that has a user and values.
func (a *app) someone() *browser {
	a.t.Helper()
	b := a.browser()
	b.do(func(s *session.Session) {
		require.NoError(a.t, errors.Join(s.LogIn("ada", nil), nameKey.Set(s, "Ada"), themeKey.Set(s, "dark"), countKey.Set(s, 7)))
	})
	a.store.take()
	a.takeEvents()
	return b
}

// TestValuesWithoutErrors: Value and Put read and change as Get and Set do.
func TestValuesWithoutErrors(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.someone()
		got := b.serve(func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			fmt.Fprintf(w, "%s %s %d %s", nameKey.Value(s), themeKey.Value(s), countKey.Value(s), session.Value(s, s.User))
			require.NoError(t, s.Err())
			require.True(t, s.Check(nil))
		})
		require.Equal(t, "Ada dark 7 ada", got.body)
		require.Equal(t, []string{"get", "get"}, names(a.store.take()), "the session and its user's list")
		got = b.do(func(s *session.Session) {
			countKey.Put(s, countKey.Value(s)+1)
			require.Equal(t, 8, countKey.Value(s))
			require.Zero(t, session.NewKey[int]("absent").Value(s))
			require.Empty(t, session.NewKey[int]("name").Value(s), "a value of another type counts as absent")
			require.NoError(t, s.Err())
		})
		require.Equal(t, 200, got.StatusCode)
		require.Equal(t, []session.EventKind{session.EventCorrupt}, a.kinds())
		require.EqualValues(t, 8, b.values()["count"])
		got = a.browser().do(func(s *session.Session) { require.Empty(t, nameKey.Value(s)+session.Value(s, s.User)) })
		require.Equal(t, 200, got.StatusCode)
		require.Nil(t, got.cookie(), "reading begins no session")
	})
}

// TestRecordThatCannotBeRead: a fresh session and no error, as with Get.
func TestRecordThatCannotBeRead(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.someone()
		a.store.fail(on("get", store.ErrCorrupt), nil)
		got := b.serve(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%q", nameKey.Value(session.From(r)))
			require.NoError(t, session.From(r).Err())
		})
		require.Equal(t, `""`, got.body)
		require.Contains(t, a.kinds(), session.EventCorrupt)
	})
}

// TestTheResponseAnswersForAnError: however a handler answers, if it met an
// error before and did not ask for it, the middleware answers and nothing is
// stored.
func TestTheResponseAnswersForAnError(t *testing.T) {
	page := func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "page.txt", time.Unix(1e9, 0), strings.NewReader("this must not be seen"))
	}
	for _, c := range []struct {
		name   string
		method string
		header http.Header
		answer func(w http.ResponseWriter, r *http.Request)
	}{
		{name: "returns", answer: func(http.ResponseWriter, *http.Request) {}},
		{name: "writes", answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "this must not be seen") }},
		{name: "writes much", answer: func(w http.ResponseWriter, _ *http.Request) {
			for range 1000 {
				_, _ = w.Write([]byte(strings.Repeat("this must not be seen", 100)))
			}
		}},
		{name: "copies", answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, strings.NewReader("this must not be seen"))
		}},
		{name: "404", answer: func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }},
		{name: "204", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
		{name: "redirect", answer: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusSeeOther) }},
		{name: "file", answer: page},
		{name: "not modified", header: http.Header{"If-Modified-Since": {time.Unix(2e9, 0).UTC().Format(http.TimeFormat)}}, answer: page},
		{name: "range", header: http.Header{"Range": {"bytes=0-3"}}, answer: page},
		{name: "HEAD", method: "HEAD", answer: page},
		{name: "POST", method: "POST", answer: page},
		{name: "flushes", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			if http.NewResponseController(w).Flush() == nil {
				_, _ = io.WriteString(w, "data: this must not be seen\n\n")
			}
		}},
		{name: "flushes and does not care", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "this must not be seen")
		}},
		{name: "hijacks", answer: func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nthis must not be seen")
				conn.Close()
				return
			}
			http.Error(w, "this must not be seen", 500)
		}},
		{name: "early hints", answer: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			page(w, r)
		}},
		{name: "trailers", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "this must not be seen")
			w.Header().Set("X-Sum", "1")
		}},
	} {
		for at := 1; at <= 2; at++ { // the session's record and its user's list
			t.Run(fmt.Sprintf("%s, read %d", c.name, at), func(t *testing.T) {
				overStores(t, func(t *testing.T, s store.Store) {
					a := newApp(t, s)
					b := a.someone()
					address := a.route(func(w http.ResponseWriter, r *http.Request) {
						s := session.From(r)
						h := w.Header()
						for _, name := range []string{
							"Content-Language", "Content-Encoding", "Content-Disposition", "Etag", "Expires", "Content-Digest", "Accept-Ranges", "Refresh",
						} {
							h.Set(name, "of the page")
						}
						h.Set("Cache-Control", "public, max-age=3600")
						h.Set("Content-Security-Policy", "default-src 'self'")
						h.Add("Set-Cookie", "other=1")
						countKey.Put(s, countKey.Value(s)+1)
						themeKey.Put(s, nameKey.Value(s))
						c.answer(w, r)
					})
					a.store.fail(failAt("get", at, store.ErrUnavailable), nil)
					method := "GET"
					if c.method != "" {
						method = c.method
					}
					r, err := http.NewRequest(method, address, nil)
					require.NoError(t, err)
					for name, lines := range c.header {
						r.Header[name] = lines
					}
					id := b.id()
					r.AddCookie(&http.Cookie{Name: "session_id", Value: id})
					got := fetch(t, a.server.Client(), r)
					a.store.fail(nil, nil)

					require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
					require.Equal(t, "1", got.Header.Get("Retry-After"))
					require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
					require.Equal(t, []string{"Cookie"}, got.Header["Vary"])
					require.Equal(t, []string{"other=1"}, got.Header["Set-Cookie"], "no session's cookie, and that of the handler")
					require.Equal(t, "default-src 'self'", got.Header.Get("Content-Security-Policy"))
					require.Equal(t, "text/plain; charset=utf-8", got.Header.Get("Content-Type"))
					for _, name := range []string{
						"Content-Language", "Content-Encoding", "Content-Disposition", "Content-Range", "Etag", "Last-Modified", "Location", "Expires",
						"Content-Digest", "Accept-Ranges", "Refresh", "Trailer",
					} {
						require.Empty(t, got.Header[name], name)
					}
					require.NotContains(t, got.body, "seen")
					require.Equal(t, method == "HEAD", got.body == "")
					require.Empty(t, got.Trailer)
					require.NotContains(t, names(a.store.take()), "set")
					require.Equal(t, []session.EventKind{session.EventUnavailable}, a.kinds())
					require.Equal(t, id, b.id())
					require.Equal(t, map[string]any{"name": "Ada", "theme": "dark", "count": int64(7)}, b.values())
				})
			})
		}
	}
}

// TestStatusOfAnError: the status is that of Manager.WriteError, whoever met the
// error.
func TestStatusOfAnError(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error // from the storage, if any
		do     func(s *session.Session)
		status int
		retry  bool
	}{
		{"unavailable", store.ErrUnavailable, func(s *session.Session) { nameKey.Value(s) }, 503, true},
		{"denied", store.ErrDenied, func(s *session.Session) { nameKey.Value(s) }, 503, true},
		{"internal", store.ErrInternal, func(s *session.Session) { nameKey.Value(s) }, 500, false},
		{"user", store.ErrUnavailable, func(s *session.Session) { session.Value(s, s.User) }, 503, true},
		{"token", store.ErrUnavailable, func(s *session.Session) { session.Value(s, s.CSRFToken) }, 503, true},
		{"gone", nil, func(s *session.Session) { s.Check(session.ErrGone) }, 409, false},
		{"renewed", nil, func(s *session.Session) { s.Check(session.ErrRenewed) }, 409, false},
		{"another site", nil, func(s *session.Session) { s.Check(session.ErrCrossSite) }, 403, false},
		{"no form of ours", nil, func(s *session.Session) { s.Check(s.CheckCSRF("junk")) }, 403, false},
		{"no value", nil, func(s *session.Session) { session.NewKey[any]("x").Put(s, func() {}) }, 500, false},
		{"no key", nil, func(s *session.Session) { session.Key[int]{}.Put(s, 1) }, 500, false},
		{"the first counts", store.ErrUnavailable, func(s *session.Session) { nameKey.Value(s); s.Check(session.ErrGone) }, 503, true},
		{"the first counts, of the handler", store.ErrUnavailable, func(s *session.Session) { s.Check(session.ErrGone); nameKey.Value(s) }, 409, false},
		{"of a function", nil, func(s *session.Session) {
			_, err := countKey.Update(s, func(int) (int, error) { return 0, store.ErrUnavailable })
			s.Check(err)
		}, 503, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			b := a.someone()
			a.store.fail(on("get", c.err), nil)
			got := b.do(c.do)
			require.Equal(t, c.status, got.StatusCode)
			require.Equal(t, c.retry, got.Header.Get("Retry-After") != "")
			require.NotEmpty(t, got.body)
		})
	}
}

// TestHandlerThatAsks: a handler that gets an error from Err answers for it, if
// it writes anything.
func TestHandlerThatAsks(t *testing.T) {
	for _, c := range []struct {
		name    string
		do      func(m *session.Manager, w http.ResponseWriter, r *http.Request, s *session.Session)
		status  int
		body    string
		answers int // by OnError
		dropped bool
	}{
		{"asks and answers", func(_ *session.Manager, w http.ResponseWriter, _ *http.Request, s *session.Session) {
			if s.Err() != nil {
				http.Error(w, "my own", http.StatusTeapot)
			}
		}, 418, "my own\n", 0, false},
		{"asks and goes on", func(_ *session.Manager, w http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = s.Err()
			fmt.Fprintf(w, "hello %s", nameKey.Value(s))
		}, 200, "hello ", 0, false},
		{"asks, goes on and changes something", func(_ *session.Manager, w http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = s.Err()
			require.NoError(t, nameKey.Set(s, "x"))
			fmt.Fprint(w, "saved")
		}, 200, "saved", 0, true},
		{"asks and flushes", func(_ *session.Manager, w http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = s.Err()
			require.NoError(t, http.NewResponseController(w).Flush())
			fmt.Fprint(w, "stream")
		}, 200, "stream", 0, false},
		{"asks and says nothing", func(_ *session.Manager, _ http.ResponseWriter, _ *http.Request, s *session.Session) {
			require.ErrorIs(t, s.Err(), store.ErrUnavailable)
		}, 503, "OnError\n", 1, false},
		{"asked too early", func(_ *session.Manager, w http.ResponseWriter, r *http.Request, _ *session.Session) {
			fmt.Fprint(w, "hello")
		}, 503, "OnError\n", 1, false},
		{"hands it to Error", func(m *session.Manager, w http.ResponseWriter, r *http.Request, s *session.Session) {
			m.WriteError(w, r, s.Err())
		}, 503, "OnError\n", 1, false},
		{"hands that of Save to Error", func(m *session.Manager, w http.ResponseWriter, r *http.Request, s *session.Session) {
			m.WriteError(w, r, s.Save())
		}, 503, "OnError\n", 1, false},
		{"hands it back", func(_ *session.Manager, w http.ResponseWriter, _ *http.Request, s *session.Session) {
			require.False(t, s.Check(s.Err()))
			fmt.Fprint(w, "hello")
		}, 503, "OnError\n", 1, false},
		{"panics", func(*session.Manager, http.ResponseWriter, *http.Request, *session.Session) {
			panic(http.ErrAbortHandler)
		}, 0, "", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				answers := 0
				a := newApp(t, s, func(s *session.Settings) {
					s.OnError = func(w http.ResponseWriter, _ *http.Request, err error) {
						answers++
						require.ErrorIs(t, err, store.ErrUnavailable)
						http.Error(w, "OnError", http.StatusServiceUnavailable)
					}
				})
				b := a.someone()
				a.store.fail(on("get", store.ErrUnavailable), nil)
				address := a.route(func(w http.ResponseWriter, r *http.Request) {
					s := session.From(r)
					require.NoError(t, s.Err())
					nameKey.Value(s)
					c.do(a.manager, w, r, s)
				})
				r, err := http.NewRequest("POST", address, nil) // no client repeats a POST
				require.NoError(t, err)
				r.AddCookie(&http.Cookie{Name: "session_id", Value: b.id()})
				if c.status == 0 {
					_, err := a.server.Client().Do(r)
					require.Error(t, err)
				} else {
					got := fetch(t, a.server.Client(), r)
					require.Equal(t, c.status, got.StatusCode)
					require.Equal(t, c.body, got.body)
				}
				a.store.fail(nil, nil)
				require.Equal(t, c.answers, answers)
				events := a.takeEvents()
				require.Equal(t, session.EventUnavailable, events[0].Kind)
				require.Len(t, events, map[bool]int{false: 1, true: 2}[c.dropped])
				if c.dropped {
					require.Equal(t, session.EventFailed, events[1].Kind)
					require.ErrorIs(t, events[1].Err, store.ErrUnavailable)
					require.ErrorContains(t, events[1].Err, "dropped")
				}
				require.NotContains(t, names(a.store.take()), "set")
				require.Equal(t, "Ada", b.values()["name"])
			})
		})
	}
}

// TestNothingIsStoredAfterAnError, although the storage is back by then: the
// handler may go on with zero values.
func TestNothingIsStoredAfterAnError(t *testing.T) {
	is := func(err error) error {
		if !errors.Is(err, store.ErrUnavailable) {
			return fmt.Errorf("not the error that was met: %w", err)
		}
		return nil
	}
	for name, do := range map[string]func(s *session.Session) error{
		"put":       func(s *session.Session) error { countKey.Put(s, countKey.Value(s)+1); return nil },
		"set":       func(s *session.Session) error { return countKey.Set(s, countKey.Value(s)+1) },
		"delete":    func(s *session.Session) error { return countKey.Delete(s) },
		"clear":     func(s *session.Session) error { return s.Clear() },
		"save":      func(s *session.Session) error { return errors.Join(countKey.Set(s, 1), is(s.Save())) },
		"no change": func(s *session.Session) error { return is(s.Save()) },
		"update": func(s *session.Session) error {
			n, err := countKey.Update(s, func(int) (int, error) { panic("called") })
			if n != 0 {
				return errors.New("a value")
			}
			return is(err)
		},
		"increment": func(s *session.Session) error { _, err := session.Increment(s, countKey, 1); return is(err) },
		"pop":       func(s *session.Session) error { _, _, err := countKey.Pop(s); return is(err) },
		"flash": func(s *session.Session) error {
			f := session.NewFlash[string]("page")
			if err := f.Add(s, "hello"); err != nil {
				return err
			}
			_, err := f.PopAll(s)
			return is(err)
		},
		"log in": func(s *session.Session) error { return s.LogIn("eve", nil) },
		"renew":  func(s *session.Session) error { return s.Renew() },
		"expiry": func(s *session.Session) error { return s.SetExpiry(hour) },
		"force":  func(s *session.Session) error { s.SetModified(); return nil },
		"look":   func(s *session.Session) error { _, err := s.Has("name"); return err },
		"reload": func(s *session.Session) error { return errors.Join(countKey.Set(s, 1), s.Reload(), s.Reload()) },
		"get works": func(s *session.Session) error {
			n, err := countKey.Get(s)
			if n != 7 {
				return fmt.Errorf("got %d: %w", n, err)
			}
			return err
		},
		"value does not": func(s *session.Session) error {
			if countKey.Value(s) != 0 || session.Value(s, func() (int, error) { panic("called") }) != 0 {
				return errors.New("a value after an error")
			}
			return nil
		},
		"what was set before": func(s *session.Session) error { return nil },
	} {
		for _, asks := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, asks %v", name, asks), func(t *testing.T) {
				overStores(t, func(t *testing.T, s store.Store) {
					a := newApp(t, s, func(s *session.Settings) {
						s.IdleTimeout, s.RenewEvery, s.RenewGrace = hour, time.Minute, 30*time.Second
					})
					b := a.someone()
					id := b.id()
					a.clock.Advance(30 * time.Minute) // an access is due to be noted, and a timed renewal is due
					got := b.serve(func(w http.ResponseWriter, r *http.Request) {
						s := session.From(r)
						require.NoError(t, themeKey.Set(s, "lost"))
						a.store.fail(on("get", store.ErrUnavailable), nil)
						require.Empty(t, nameKey.Value(s))
						a.store.fail(nil, nil)
						require.NoError(t, do(s))
						if asks {
							require.ErrorIs(t, s.Err(), store.ErrUnavailable)
							fmt.Fprint(w, "hello")
						}
					})
					require.Equal(t, map[bool]int{false: 503, true: 200}[asks], got.StatusCode)
					require.Nil(t, got.cookie())
					asked := names(a.store.take())
					require.NotContains(t, asked, "set")
					require.NotContains(t, asked, "delete")
					events := a.takeEvents()
					if asks {
						require.ErrorContains(t, events[len(events)-1].Err, "dropped")
					}
					for _, e := range events {
						require.Contains(t, []session.EventKind{session.EventUnavailable, session.EventFailed}, e.Kind)
					}
					require.Equal(t, id, b.id())
					require.Equal(t, map[string]any{"name": "Ada", "theme": "dark", "count": int64(7)}, b.values())
				})
			})
		}
	}
}

// TestLogOutAfterAnError: ending a session needs none of its values.
func TestLogOutAfterAnError(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.someone()
		id := b.id()
		got := b.do(func(s *session.Session) {
			a.store.fail(failAt("get", 1, store.ErrUnavailable), nil)
			nameKey.Value(s)
			require.NoError(t, s.Destroy())
		})
		a.store.fail(nil, nil)
		require.Equal(t, 503, got.StatusCode)
		require.Equal(t, -1, got.cookie().MaxAge)
		require.Empty(t, b.id())
		got = a.with([]string{"session_id=" + id}, func(s *session.Session) { require.Empty(t, nameKey.Value(s)) })
		require.Equal(t, 200, got.StatusCode)
	})
}

// TestWhatWasSavedBeforeAnErrorStays, with its cookie.
func TestWhatWasSavedBeforeAnErrorStays(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.someone()
		old := b.id()
		got := b.do(func(s *session.Session) {
			require.NoError(t, errors.Join(s.Renew(), s.Save()))
			s.Check(store.ErrUnavailable)
		})
		require.Equal(t, 503, got.StatusCode)
		require.NotEqual(t, old, b.id())
		require.Equal(t, "Ada", b.values()["name"])
	})
}

// TestErrorAfterTheFirstByte: the response has begun, so an event reports the
// error, once.
func TestErrorAfterTheFirstByte(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(s *session.Session)
		kinds []session.EventKind
		says  string
	}{
		{"a read", func(s *session.Session) { nameKey.Value(s) }, []session.EventKind{session.EventUnavailable, session.EventFailed}, ""},
		{"a read, and asks", func(s *session.Session) { nameKey.Value(s); _ = s.Err() }, []session.EventKind{session.EventUnavailable}, ""},
		{"a read and a change", func(s *session.Session) { countKey.Put(s, 1); nameKey.Value(s) },
			[]session.EventKind{session.EventUnavailable, session.EventFailed}, "dropped"},
		{"a read and a change, and asks", func(s *session.Session) { countKey.Put(s, 1); nameKey.Value(s); _ = s.Err() },
			[]session.EventKind{session.EventUnavailable, session.EventFailed}, "dropped"},
		{"a cookie that is too late", func(s *session.Session) { s.Check(s.Renew()) }, []session.EventKind{session.EventFailed}, "cookie"},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s)
				b := a.someone()
				a.store.fail(on("get", store.ErrUnavailable), nil)
				got := b.serve(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "private")
					_, err := io.WriteString(w, "hello ")
					require.NoError(t, err)
					require.NoError(t, http.NewResponseController(w).Flush())
					c.do(session.From(r))
					_, err = io.WriteString(w, "and on")
					require.NoError(t, err)
				})
				a.store.fail(nil, nil)
				require.Equal(t, 200, got.StatusCode)
				require.Equal(t, "hello and on", got.body)
				events := a.takeEvents()
				kinds := []session.EventKind{}
				for _, e := range events {
					kinds = append(kinds, e.Kind)
				}
				require.Equal(t, c.kinds, kinds)
				if c.says != "" {
					require.ErrorContains(t, events[len(events)-1].Err, c.says)
				}
				require.NotContains(t, names(a.store.take()), "set")
			})
		})
	}
	t.Run("a look that is too late", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		b := a.someone()
		b.serve(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "hello")
			require.Empty(t, nameKey.Value(session.From(r)))
			require.Empty(t, themeKey.Value(session.From(r)))
		})
		require.Equal(t, []session.EventKind{session.EventFailed}, a.kinds())
	})
}

// TestErrorBesideOtherMiddleware: with timeouts and buffers around and inside,
// and with sessions of two managers.
func TestErrorBesideOtherMiddleware(t *testing.T) {
	read := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		fmt.Fprintf(w, "hello %s", nameKey.Value(session.From(r)))
	}
	timeout := func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "too long") }
	buffered := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			kept := httptest.NewRecorder()
			h.ServeHTTP(kept, r)
			for name, lines := range kept.Header() {
				w.Header()[name] = lines
			}
			w.WriteHeader(kept.Code)
			_, _ = kept.Body.WriteTo(w)
		})
	}
	other, err := session.New(store.NewMemory(), func() session.Settings {
		s := session.Defaults()
		s.CookieName = "other"
		return s
	}())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		around, inside func(http.Handler) http.Handler
	}{
		"a timeout around": {around: timeout},
		"a timeout inside": {inside: timeout},
		"a buffer around":  {around: buffered},
		"a buffer inside":  {inside: buffered},
		"a manager around": {around: other.Handler},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, store.NewMemory())
			b := a.someone()
			a.store.fail(on("get", store.ErrUnavailable), nil)
			var h http.Handler = http.HandlerFunc(read)
			if c.inside != nil {
				h = c.inside(h)
			}
			h = a.manager.Handler(h)
			if c.around != nil {
				h = c.around(h)
			}
			server := httptest.NewServer(h)
			defer server.Close()
			got := b.send("GET", server.URL)
			require.Equal(t, 503, got.StatusCode)
			require.Equal(t, "1", got.Header.Get("Retry-After"))
			require.Empty(t, got.Header["Etag"])
			require.NotContains(t, got.body, "hello")
		})
	}
	t.Run("a manager inside, whose session is saved", func(t *testing.T) {
		a := newApp(t, store.NewMemory())
		b := a.someone()
		a.store.fail(on("get", store.ErrUnavailable), nil)
		server := httptest.NewServer(a.manager.Handler(other.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			require.Empty(t, nameKey.Value(a.manager.From(r)))
			nameKey.Put(other.From(r), "Eve")
			require.NoError(t, other.From(r).Err())
			fmt.Fprint(w, "hello")
		}))))
		defer server.Close()
		got := b.send("GET", server.URL)
		require.Equal(t, 503, got.StatusCode)
		require.Len(t, got.Cookies(), 1)
		require.Equal(t, "other", got.Cookies()[0].Name)
	})
}

// TestHijackAfterAnError: it fails, unless the handler has taken the error.
func TestHijackAfterAnError(t *testing.T) {
	for _, asks := range []bool{false, true} {
		s := newSite(t, false, func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			nameKey.Value(s)
			if asks {
				require.ErrorIs(t, s.Err(), store.ErrUnavailable)
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			if !asks {
				require.ErrorIs(t, err, store.ErrUnavailable)
				return
			}
			require.NoError(t, err)
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 299 Mine\r\nContent-Length: 0\r\n\r\n")
		})
		id := s.login("ada")
		s.store.fail(on("get", store.ErrUnavailable), nil)
		_, br := s.dial("Cookie: session_id=" + id + "\r\n")
		resp, err := http.ReadResponse(br, nil)
		require.NoError(t, err)
		require.Equal(t, map[bool]int{false: 503, true: 299}[asks], resp.StatusCode)
	}
}

// TestEndedSessionIsNoErrorToRead, although another request logged the visitor
// out.
func TestEndedSessionIsNoErrorToRead(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s)
		b := a.someone()
		id := b.id()
		got := b.serve(func(w http.ResponseWriter, r *http.Request) {
			other := a.with([]string{"session_id=" + id}, func(s *session.Session) { require.NoError(t, s.Destroy()) })
			require.Equal(t, 200, other.StatusCode)
			s := session.From(r)
			fmt.Fprintf(w, "hello %s", nameKey.Value(s))
			require.NoError(t, s.Err())
		})
		require.Equal(t, "hello ", got.body)
		got = b.do(func(s *session.Session) {
			countKey.Put(s, countKey.Value(s)+1)
			n, err := session.Increment(s, countKey, 1)
			require.Zero(t, n)
			s.Check(err)
		})
		require.Equal(t, http.StatusConflict, got.StatusCode)
	})
}

// TestSessionWithoutAResponse: only the program can ask for the error.
func TestSessionWithoutAResponse(t *testing.T) {
	a := newApp(t, store.NewMemory())
	id := a.login("ada")
	s := a.manager.Session(t.Context(), id)
	a.store.fail(on("get", store.ErrUnavailable), nil)
	require.Empty(t, nameKey.Value(s))
	a.store.fail(nil, nil)
	nameKey.Put(s, "Eve")
	require.ErrorIs(t, s.Err(), store.ErrUnavailable)
	require.NoError(t, themeKey.Set(s, "dark"))
	require.ErrorIs(t, s.Save(), store.ErrUnavailable)
	ok, err := a.manager.Session(t.Context(), id).Has("theme")
	require.NoError(t, err)
	require.False(t, ok)
}

// TestErrorsOfManyGoroutines: one error of one request is kept.
func TestErrorsOfManyGoroutines(t *testing.T) {
	a := newApp(t, store.NewMemory())
	b := a.someone()
	a.store.fail(failAt("get", 1, store.ErrUnavailable), nil)
	got := b.do(func(s *session.Session) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 50 {
					nameKey.Value(s)
					countKey.Put(s, i)
					session.Value(s, s.User)
					s.Check(nil)
					if i == 0 {
						_ = s.Err()
					}
				}
			})
		}
		all.Wait()
	})
	require.Equal(t, 503, got.StatusCode)
	require.NotContains(t, names(a.store.take()), "set")
	require.EqualValues(t, 7, b.values()["count"])
}

// TestRenewalBeforeAnErrorIsFinished: the old id reaches nothing, although the
// storage did not say so when asked.
func TestRenewalBeforeAnErrorIsFinished(t *testing.T) {
	for _, asks := range []bool{false, true} {
		overStores(t, func(t *testing.T, s store.Store) {
			a := newApp(t, s)
			b := a.browser()
			b.set("user", "ada")
			old := b.id()
			got := b.serve(func(w http.ResponseWriter, r *http.Request) {
				s := session.From(r)
				require.NoError(t, s.Renew())
				_, err := s.Has("user")
				require.NoError(t, err)
				sets := 0
				a.store.fail(func(o operation) error {
					if o.name == "set" {
						sets++
					}
					if sets > 1 {
						return store.ErrUnavailable
					}
					return nil
				}, nil)
				require.False(t, s.Check(s.Save()))
				a.store.fail(nil, nil)
				if asks {
					require.Error(t, s.Err())
					fmt.Fprint(w, "hello")
				}
			})
			require.Equal(t, map[bool]int{false: 503, true: 200}[asks], got.StatusCode)
			require.NotEqual(t, old, b.id())
			require.Equal(t, "ada", b.values()["user"])
			require.Empty(t, a.peek(old))
		})
	}
}

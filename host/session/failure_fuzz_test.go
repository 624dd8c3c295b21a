package session_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// FuzzErrors does things with a session in any order while the storage
// sometimes fails, and compares the response and the stored values with a
// model. What was committed before the first error is there, nothing after it
// is, and the middleware answers for a handler that did not ask.
func FuzzErrors(f *testing.F) {
	for _, seed := range []string{"v.", "pv.", "p!v.", "!vp.", "!vPew.", "u!vu.", "s!gvw.", "!ve.", "!vec.", "w!vp.", "u!cCuU", "fp!v", "l!vp"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, program string) {
		if len(program) > 64 {
			return
		}
		a := newApp(t, store.NewMemory(), func(s *session.Settings) {
			s.OnError = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(503) }
		})
		b := a.someone()
		stored := map[string]int{"count": 7}
		pending := maps.Clone(stored)
		var failed, asked, begun, down bool
		status := 200
		h := a.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := session.From(r)
			_, _ = countKey.Get(s) // later faults meet only saves of a loaded session
			other := session.NewKey[int]("other")
			begin := func() {
				if begun {
					return
				}
				begun = true
				switch {
				case failed && !asked:
					status = 503
				case failed:
				default:
					stored = maps.Clone(pending)
				}
			}
			meet := func(err error) {
				if err != nil && !failed {
					failed = true
				}
				if err != nil {
					asked = false
				}
			}
			for i, op := range program {
				switch op {
				case 'v':
					got := countKey.Value(s)
					require.True(t, failed && got == 0 || !failed && got == pending["count"], "%d: %d", i, got)
				case 'p':
					countKey.Put(s, i)
					if !failed {
						pending["count"] = i
					}
				case 'P':
					session.NewKey[any]("bad").Put(s, func() {})
					if !failed {
						meet(session.ErrEncode)
					}
				case 'g':
					_, err := countKey.Get(s)
					require.NoError(t, err)
				case 's':
					require.NoError(t, other.Set(s, i))
					pending["other"] = i
				case 'u', 'U', 'l':
					var err error
					switch op {
					case 'u':
						_, err = session.Increment(s, countKey, 1)
					case 'U':
						err = s.Save()
					case 'l':
						_, _, err = other.Pop(s)
					}
					wants := failed || down
					switch _, there := pending["other"]; {
					case op == 'l' && !there:
						wants = false // there is nothing to take
					case op == 'U' && !failed:
						wants = err != nil // there may be nothing to save
					}
					require.Equal(t, wants, err != nil, "%d", i)
					if err != nil {
						break
					}
					switch op {
					case 'u':
						pending["count"]++
					case 'l':
						delete(pending, "other")
					}
					stored = maps.Clone(pending)
				case 'c':
					s.Check(errFault)
					meet(errFault)
				case 'C':
					require.Equal(t, !failed, s.Check(nil))
				case 'e':
					err := s.Err()
					require.Equal(t, failed, err != nil)
					asked = failed
				case 'E':
					_, err := s.User()
					require.NoError(t, err)
				case 'w', 'f':
					// The first byte saves, and must not meet the fault.
					// Another test covers that.
					a.store.fail(nil, nil)
					if op == 'f' {
						_ = http.NewResponseController(w).Flush()
					} else {
						_, _ = io.WriteString(w, "x")
					}
					begin()
					if down {
						a.store.fail(on("set", store.ErrUnavailable), nil)
					}
				case '!':
					down = true
					a.store.fail(on("set", store.ErrUnavailable), nil)
				case '.':
					down = false
					a.store.fail(nil, nil)
				}
			}
			a.store.fail(nil, nil)
			if !begun {
				if failed {
					status = 503
				} else {
					stored = maps.Clone(pending)
				}
			} else if status == 200 && !failed {
				stored = maps.Clone(pending)
			}
		}))
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: "session_id", Value: b.id()})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, program)
		got := map[string]int{}
		s := a.manager.Session(t.Context(), b.id())
		for _, key := range []string{"count", "other"} {
			var v int
			ok, err := s.Get(key, &v)
			require.NoError(t, err)
			if ok {
				got[key] = v
			}
		}
		require.Equal(t, stored, got, program)
	})
}

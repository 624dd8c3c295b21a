package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestEvents lists exactly the events that each occurrence makes. None holds an
// id, a value or a user.
func TestEvents(t *testing.T) {
	const (
		created, renewed, destroyed = session.EventCreated, session.EventRenewed, session.EventDestroyed
		expired, rejected, conflict = session.EventExpired, session.EventRejected, session.EventConflict
		corrupt, unavailable        = session.EventCorrupt, session.EventUnavailable
		gone, failed                = session.EventGone, session.EventFailed
		value, user                 = "a value for nobody's eyes", "a user for nobody's eyes"
	)
	type env struct {
		*testing.T
		a  *app
		b  *browser
		id string
	}
	set := func(e env, f func(s *session.Session)) { e.b.do(f) }
	job := func(e env) *session.Session { return e.a.manager.Session(ctx, e.id) }
	for _, c := range []struct {
		name string
		do   func(e env)
		want []session.EventKind
	}{
		{"nothing", func(e env) { set(e, func(*session.Session) {}) }, nil},
		{"a look", func(e env) { set(e, look) }, nil},
		{"a change", func(e env) { set(e, func(s *session.Session) { require.NoError(e, s.Set("n", value)) }) }, nil},
		{"a new session", func(e env) { e.a.login(user) }, []session.EventKind{created}},
		{"a renewal", func(e env) { set(e, func(s *session.Session) { require.NoError(e, s.Renew()) }) }, []session.EventKind{renewed}},
		{"a log-in", func(e env) {
			set(e, func(s *session.Session) { require.NoError(e, s.LogIn(user, map[string]string{"note": value})) })
		}, []session.EventKind{renewed}},
		{"a timed renewal", func(e env) { e.a.clock.Advance(every); set(e, look) }, []session.EventKind{renewed}},
		{"a destruction", func(e env) { set(e, func(s *session.Session) { require.NoError(e, s.Destroy()) }) }, []session.EventKind{destroyed}},
		{"a destruction of nobody", func(e env) {
			e.a.with(nil, func(s *session.Session) { require.NoError(e, s.Destroy()) })
		}, nil},
		{"an ending from outside", func(e env) {
			set(e, func(s *session.Session) { require.NoError(e, s.LogIn(user, nil)) })
			e.a.kinds()
			n, err := e.a.manager.RevokeAll(ctx, user)
			require.NoError(e, err)
			require.Equal(e, 1, n)
		}, []session.EventKind{destroyed}},
		{"an id that is none", func(e env) { e.a.at("x", look) }, []session.EventKind{rejected}},
		{"ids that are none", func(e env) { e.a.at("x; session_id=y; session_id=z", look) }, []session.EventKind{rejected}},
		{"an id that is nobody's", func(e env) { e.a.at(strings.Repeat("A", 43), look) }, nil},
		{"an id by another way", func(e env) { e.a.token(e.id, look) }, []session.EventKind{rejected}},
		{"a session that has ended, where the store has it still", func(e env) {
			strict := newApp(e.T, e.a.store, func(s *session.Settings) { s.AbsoluteTimeout = hour })
			strict.clock.Advance(hour)
			strict.at(e.id, look)
			e.a.events = strict.takeEvents()
		}, []session.EventKind{expired}},
		{"a session that has ended, and the store lost it", func(e env) { e.a.clock.Advance(7 * day); set(e, look) }, nil},
		{"a conflict", func(e env) {
			set(e, func(s *session.Session) {
				look(s)
				other := job(e)
				require.NoError(e, other.Set("other", value))
				require.NoError(e, other.Save())
				require.NoError(e, s.Set("mine", value))
			})
		}, []session.EventKind{conflict}},
		{"a change of a session that is gone", func(e env) {
			set(e, func(s *session.Session) {
				look(s)
				require.NoError(e, job(e).Destroy())
				require.NoError(e, s.Set("mine", value))
			})
		}, []session.EventKind{destroyed, conflict, gone}},
		{"a look at a session that is gone", func(e env) {
			e.a.clock.Advance(every)
			set(e, func(s *session.Session) {
				look(s)
				require.NoError(e, job(e).Destroy())
			})
		}, []session.EventKind{destroyed}},
		{"a value of another type", func(e env) {
			set(e, func(s *session.Session) { _, _ = s.Get("user", new(int)) })
		}, []session.EventKind{corrupt}},
		{"a record that cannot be read", func(e env) {
			require.NoError(e, e.a.store.Store.Set(ctx, store.Write{Key: []byte(storageKeyOf(e.id)), Value: []byte(value), Now: clockStart}))
			set(e, look)
		}, []session.EventKind{corrupt}},
		{"a storage that does not answer a look", func(e env) {
			e.a.store.fail(on("get", store.ErrUnavailable), nil)
			set(e, look)
		}, []session.EventKind{unavailable}},
		{"a storage that does not answer a change, at its load", func(e env) {
			e.a.store.fail(on("get", store.ErrUnavailable), nil)
			set(e, func(s *session.Session) { require.NoError(e, s.Set("n", value)) })
		}, []session.EventKind{unavailable}},
		{"a storage that does not take a change", func(e env) {
			e.a.store.fail(on("set", store.ErrNoSpace), nil)
			set(e, func(s *session.Session) { require.NoError(e, s.Set("n", value)) })
		}, []session.EventKind{unavailable}},
		{"a storage that does not take an end", func(e env) {
			e.a.store.fail(on("set", store.ErrUnavailable), nil)
			set(e, func(s *session.Session) { require.Error(e, s.Destroy()) })
		}, []session.EventKind{unavailable}},
		{"a storage that fails when the response has begun", func(e env) {
			e.b.serve(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte("x"))
				e.a.store.fail(on("set", store.ErrUnavailable), nil)
				require.NoError(e, session.From(r).Set("n", value))
			})
		}, []session.EventKind{unavailable, failed}},
		{"a new session when the response has begun", func(e env) {
			e.a.browser().serve(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte("x"))
				require.NoError(e, session.From(r).Set("n", value))
			})
		}, []session.EventKind{failed}},
		{"a change that is too large", func(e env) {
			set(e, func(s *session.Session) {
				require.NoError(e, s.Set("n", strings.Repeat(value, 1<<16)))
				require.ErrorIs(e, s.Save(), session.ErrTooLarge)
				require.NoError(e, s.Delete("n"))
			})
		}, nil},
		{"a function of Update that fails", func(e env) {
			set(e, func(s *session.Session) {
				_, err := session.NewKey[int]("n").Update(s, failing)
				require.ErrorIs(e, err, errFault)
			})
		}, nil},
		{"a client that has gone before anything was asked", func(e env) {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_, err := e.a.manager.Session(ended, e.id).Has("user")
			require.ErrorIs(e, err, context.Canceled)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				a := newApp(t, s, renewing, tokens)
				b := a.browser()
				b.set("user", user)
				first := b.id()
				a.kinds()
				c.do(env{t, a, b, first})
				a.store.fail(nil, nil)
				events := a.takeEvents()
				kinds := []session.EventKind{}
				for _, e := range events {
					kinds = append(kinds, e.Kind)
					all := fmt.Sprintf("%+v %v", e, e.Err)
					for _, secret := range []string{value, user, first, b.id()} {
						if secret != "" {
							require.NotContains(t, all, secret)
						}
					}
					for _, label := range []string{e.Session, e.Previous, e.User} {
						require.Regexp(t, `^([0-9a-f]{12})?$`, label)
					}
					require.Equal(t, e.Kind == renewed, e.Previous != "")
					if e.Kind == corrupt || e.Kind == unavailable || e.Kind == gone || e.Kind == failed {
						require.Error(t, e.Err)
					}
				}
				require.Equal(t, append([]session.EventKind{}, c.want...), kinds)
			})
		})
	}
}

func TestEventLevels(t *testing.T) {
	for kind, level := range map[session.EventKind]slog.Level{
		session.EventCreated: slog.LevelInfo, session.EventRenewed: slog.LevelInfo, session.EventDestroyed: slog.LevelInfo,
		session.EventExpired: slog.LevelDebug, session.EventRejected: slog.LevelDebug, session.EventConflict: slog.LevelDebug,
		session.EventCorrupt: slog.LevelWarn, session.EventGone: slog.LevelWarn, session.EventMisconfigured: slog.LevelWarn, session.EventUnlisted: slog.LevelWarn,
		session.EventUnavailable: slog.LevelError, session.EventFailed: slog.LevelError, session.EventClash: slog.LevelError,
	} {
		require.Equal(t, level, session.Event{Kind: kind}.Level(), kind.String())
		require.NotEqual(t, "unknown", kind.String())
	}
}

func TestLogEvents(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))
	log := session.LogEvents(logger)
	log(ctx, session.Event{Kind: session.EventCreated, Session: "0123456789ab"})
	log(ctx, session.Event{Kind: session.EventConflict, Session: "0123456789ab"})
	log(ctx, session.Event{Kind: session.EventFailed, Err: store.ErrNoSpace})
	var lines []map[string]any
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m))
		require.NotEmpty(t, m["time"])
		delete(m, "time")
		lines = append(lines, m)
	}
	require.Equal(t, []map[string]any{
		{"level": "INFO", "msg": "session created", "session": "0123456789ab"},
		{"level": "ERROR", "msg": "session failed", "error": store.ErrNoSpace.Error()},
	}, lines)

	t.Run("the default logger, as it is then", func(t *testing.T) {
		before := slog.Default()
		t.Cleanup(func() { slog.SetDefault(before) })
		log := session.LogEvents(nil)
		var later bytes.Buffer
		slog.SetDefault(slog.New(slog.NewTextHandler(&later, nil)))
		log(ctx, session.Event{Kind: session.EventGone})
		require.Contains(t, later.String(), "session gone")
	})
	t.Run("one that is off costs nothing", func(t *testing.T) {
		quiet := session.LogEvents(slog.New(slog.DiscardHandler))
		require.Zero(t, testing.AllocsPerRun(100, func() { quiet(ctx, session.Event{Kind: session.EventFailed, Err: errFault}) }))
	})
	t.Run("with the logger's own attributes and groups", func(t *testing.T) {
		var out bytes.Buffer
		h := slog.NewJSONHandler(&out, nil)
		session.LogEvents(slog.New(h).With("app", "shop").WithGroup("g"))(ctx, session.Event{Kind: session.EventGone, Session: "0123456789ab"})
		var m map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &m))
		require.Equal(t, "shop", m["app"])
		require.Equal(t, map[string]any{"session": "0123456789ab"}, m["g"])
	})
}

func TestEventsCallsAllInOrder(t *testing.T) {
	var calls []string
	note := func(name string) func(context.Context, session.Event) {
		return func(_ context.Context, e session.Event) { calls = append(calls, name+" "+e.Kind.String()) }
	}
	session.Events(note("a"), note("b"))(ctx, session.Event{Kind: session.EventGone})
	session.Events()(ctx, session.Event{})
	require.Equal(t, []string{"a gone", "b gone"}, calls)
}

func ExampleLogEvents() {
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "session" {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	settings := session.Defaults()
	settings.OnEvent = session.LogEvents(logger)
	m, err := session.New(store.NewMemory(), settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := m.Session(context.Background(), "")
	s.SetModified()
	fmt.Println(s.Save())
	fmt.Println(s.Destroy())
	// Output:
	// level=INFO msg="session created"
	// <nil>
	// level=INFO msg="session destroyed"
	// <nil>
}

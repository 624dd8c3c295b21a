package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// trial is one user's session, in a browser, and all ids that it ever had.
type trial struct {
	t       *testing.T
	a       *app
	b       *browser
	outside *session.Manager // over the same store, without the faults
	ids     map[string]bool
}

const trialRenewal = time.Hour

func newTrial(t *testing.T, s store.Store, seal func(*session.Settings)) *trial {
	t.Helper()
	change := func(s *session.Settings) { s.RenewEvery, s.IdleTimeout = trialRenewal, 3*hour }
	tr := &trial{t: t, a: newApp(t, s, change, seal), ids: make(map[string]bool)}
	tr.b = tr.a.browser()
	settings := session.Defaults()
	change(&settings)
	seal(&settings)
	settings.Now = tr.a.clock.Now
	settings.OnEvent = func(context.Context, session.Event) {}
	var err error
	tr.outside, err = session.New(s, settings)
	require.NoError(t, err)
	tr.b.do(func(s *session.Session) {
		require.NoError(t, s.LogIn("ada", nil))
		require.NoError(t, s.Set("basket", 1))
	})
	tr.ids[tr.b.id()] = true
	return tr
}

// request sends one request of the browser and records the id it gets.
func (tr *trial) request(do func(s *session.Session)) *reply {
	got := tr.b.do(do)
	if c := got.cookie(); c != nil && c.MaxAge >= 0 {
		tr.ids[c.Value] = true
	}
	return got
}

// listed checks that every live session is in its user's list, and returns how
// many are alive.
func (tr *trial) listed(when string) (n int) {
	tr.t.Helper()
	known := make(map[string]bool)
	for _, user := range []string{"ada", "bob"} {
		for _, publicID := range publicIDs(tr.t, tr.outside, user) {
			known[user+" "+publicID] = true
		}
	}
	for id := range tr.ids {
		s := tr.outside.Session(ctx, id)
		user, err := s.User()
		require.NoError(tr.t, err)
		if user == "" {
			continue
		}
		publicID, err := s.PublicID()
		require.NoError(tr.t, err)
		require.True(tr.t, known[user+" "+publicID], "%s: a session is alive and not listed", when)
		n++
	}
	return n
}

// trials are what happens to a user's session in one request.
var trials = []struct {
	name string
	wait time.Duration
	do   func(s *session.Session) error
	keep bool // the session should live on, whatever fails
}{
	{"a look with timed renewal", trialRenewal, func(s *session.Session) error { _, err := s.Has("basket"); return err }, true},
	{"a look that moves the idle end", 0, func(s *session.Session) error { _, err := s.Has("basket"); return err }, true},
	{"a change", 0, func(s *session.Session) error { return s.Set("n", 1) }, true},
	{"a change with timed renewal", trialRenewal, func(s *session.Session) error { return s.Set("n", 1) }, true},
	{"a longer life", 0, func(s *session.Session) error { return s.SetExpiry(30 * day) }, true},
	{"renewal", 0, func(s *session.Session) error { return s.Renew() }, true},
	{"log-in again", 0, func(s *session.Session) error { return s.LogIn("ada", nil) }, true},
	{"log-in of another", 0, func(s *session.Session) error { return s.LogIn("bob", nil) }, true},
	{"log-out", trialRenewal, func(s *session.Session) error { return s.Destroy() }, false},
	{"clear", 0, func(s *session.Session) error { return s.Clear() }, true},
}

// TestFaultsAtEachStep: whichever storage call fails, before or after it did
// its work, no unlisted session is alive, the visitor keeps the session unless
// the request ends it, and ending all afterwards ends all.
func TestFaultsAtEachStep(t *testing.T) {
	for _, c := range trials {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after %v", c.name, after), func(t *testing.T) {
				overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
					for step := 0; ; step++ {
						require.NoError(t, store.Clear(ctx, s, clockStart))
						tr := newTrial(t, s, seal)
						tr.a.clock.Advance(c.wait + 19*time.Minute)
						calls, hit := 0, false
						fault := func(operation) error {
							calls++
							if calls-1 == step {
								hit = true
								return store.ErrUnavailable
							}
							return nil
						}
						if after {
							tr.a.store.fail(nil, fault)
						} else {
							tr.a.store.fail(fault, nil)
						}
						tr.request(func(s *session.Session) { _ = c.do(s) })
						tr.a.store.fail(nil, nil)
						tr.listed(fmt.Sprint("step ", step))
						if c.keep {
							got := tr.request(func(s *session.Session) {
								n, err := session.NewKey[int]("basket").Get(s)
								require.NoError(t, err)
								if c.name != "clear" {
									require.Equal(t, 1, n, "step %d: the visitor lost the session", step)
								}
							})
							require.Equal(t, http.StatusOK, got.StatusCode)
						}
						tr.listed(fmt.Sprint("afterwards, step ", step))
						for _, user := range []string{"ada", "bob"} {
							_, err := tr.outside.RevokeAll(ctx, user)
							require.NoError(t, err)
						}
						require.Zero(t, tr.listed("in the end"))
						if !hit {
							break
						}
					}
				})
			})
		}
	}
}

// TestFaultsWhileEnding: whichever call fails, RevokeAll returns an error, and a
// second call ends the rest.
func TestFaultsWhileEnding(t *testing.T) {
	for _, after := range []bool{false, true} {
		overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
			for step, hit := 0, true; hit; step++ {
				require.NoError(t, store.Clear(ctx, s, clockStart))
				a := newApp(t, s, seal)
				var ids []string
				for range 3 {
					id, _ := logIn(t, a.manager, "ada")
					ids = append(ids, id)
				}
				hit = false
				calls := 0
				fault := func(operation) error {
					calls++
					hit = hit || calls-1 == step
					if calls-1 == step {
						return store.ErrUnavailable
					}
					return nil
				}
				if after {
					a.store.fail(nil, fault)
				} else {
					a.store.fail(fault, nil)
				}
				_, err := a.manager.RevokeAll(ctx, "ada")
				a.store.fail(nil, nil)
				if hit && err == nil {
					t.Fatalf("call %d failed unseen", step)
				}
				shown := len(publicIDs(t, a.manager, "ada"))
				left := 0
				for _, id := range ids {
					if _, ok := alive(t, a.manager, id); ok {
						left++
					}
				}
				require.Equal(t, left, shown, "step %d", step)
				_, err = a.manager.RevokeAll(ctx, "ada")
				require.NoError(t, err)
				for _, id := range ids {
					_, ok := alive(t, a.manager, id)
					require.False(t, ok, "step %d", step)
				}
			}
		})
	}
}

// TestEndAllAtEachStep: all sessions of the user are ended while another
// request is at a given step with one of them. It comes back only by a log-in,
// which is a session of its own.
func TestEndAllAtEachStep(t *testing.T) {
	for _, c := range trials {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after %v", c.name, after), func(t *testing.T) {
				overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
					for step := 0; ; step++ {
						require.NoError(t, store.Clear(ctx, s, clockStart))
						tr := newTrial(t, s, seal)
						tr.a.clock.Advance(c.wait + 19*time.Minute)
						calls, hit := 0, false
						var once sync.Once
						hook := func(operation) error {
							calls++
							if calls-1 == step {
								once.Do(func() {
									hit = true
									_, err := tr.outside.RevokeAll(ctx, "ada")
									require.NoError(t, err)
								})
							}
							return nil
						}
						if after {
							tr.a.store.fail(nil, hook)
						} else {
							tr.a.store.fail(hook, nil)
						}
						tr.request(func(s *session.Session) { _ = c.do(s) })
						tr.a.store.fail(nil, nil)
						alive := tr.listed(fmt.Sprint("step ", step))
						if !hit {
							break
						}
						switch c.name {
						case "log-in again", "log-in of another", "clear":
							// Another user's session is not this user's any
							// more.
						default:
							require.Zero(t, alive, "step %d: a session came back", step)
							require.Empty(t, publicIDs(t, tr.outside, "ada"))
						}
						_, err := tr.outside.RevokeAll(ctx, "ada")
						require.NoError(t, err)
						_, err = tr.outside.RevokeAll(ctx, "bob")
						require.NoError(t, err)
						require.Zero(t, tr.listed("in the end"))
					}
				})
			})
		}
	}
}

// TestLogInsAndEndings happen at once, through several managers.
func TestLogInsAndEndings(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		ms := managers(t, s, 4)
		for range 5 {
			var mu sync.Mutex
			ids := make(map[string]bool)
			together(24, func(i int) {
				m := ms[i%len(ms)]
				if i%6 == 5 {
					if _, err := m.RevokeAll(ctx, "ada"); err != nil {
						t.Error(err)
					}
					return
				}
				s := m.Session(ctx, "")
				if err := s.LogIn("ada", nil); err != nil {
					t.Error(err)
				}
				if err := s.Save(); err != nil {
					if !errors.Is(err, session.ErrGone) {
						t.Error(err)
					}
					return
				}
				id, _ := s.ID()
				mu.Lock()
				ids[id] = true
				mu.Unlock()
			})
			left := 0
			for id := range ids {
				if _, ok := alive(t, ms[0], id); ok {
					left++
				}
			}
			require.Len(t, publicIDs(t, ms[0], "ada"), left, "alive and listed are the same")
			n, err := ms[1].RevokeAll(ctx, "ada")
			require.NoError(t, err)
			require.Equal(t, left, n)
			for id := range ids {
				_, ok := alive(t, ms[2], id)
				require.False(t, ok)
			}
		}
	})
}

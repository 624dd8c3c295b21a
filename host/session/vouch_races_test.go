package session_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func everyMinute(s *session.Settings) { s.RenewEvery, s.RenewGrace = time.Minute, time.Minute }

// onList returns a hook that runs f once, after ada's list has been written.
func onList(f func()) func(operation) error {
	var once sync.Once
	return func(o operation) error {
		if o.name == "set" && string(o.key) == string(listKeyOf("ada")) {
			once.Do(f)
		}
		return nil
	}
}

// TestNewIdsBetweenRecordAndList: a session may get two new ids after a request
// read its record and before it reads the list. It does not count as ended.
func TestNewIdsBetweenRecordAndList(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a, slow := newApp(t, s, everyMinute), newApp(t, s, everyMinute)
		fast := newApp(t, s, func(s *session.Settings) { s.RenewEvery, s.RenewGrace = 10*time.Second, 10*time.Second })
		slow.clock.Advance(time.Minute)
		fast.clock.Advance(70 * time.Second)
		b, meanwhile := a.browser(), slow.browser()
		b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		meanwhile.plant("session_id", b.id())
		var once sync.Once
		a.store.fail(func(o operation) error {
			if o.name == "get" && string(o.key) == string(listKeyOf("ada")) {
				once.Do(func() {
					for _, by := range []*app{slow, fast} {
						meanwhile.a = by
						before := meanwhile.id()
						meanwhile.do(func(s *session.Session) { _, _ = s.User() })
						require.NotEqual(t, before, meanwhile.id())
					}
				})
			}
			return nil
		}, nil)
		got := b.do(func(s *session.Session) {
			user, err := s.User()
			require.NoError(t, err)
			require.Equal(t, "ada", user)
		})
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, meanwhile.id(), b.id())
		require.NotContains(t, a.kinds(), session.EventUnlisted)
	})
}

// TestLaterNewIdThatLoses: a request that is late in giving the session a new
// id does not remove from the list the one that another request is just giving
// it.
func TestLaterNewIdThatLoses(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		first, second := newApp(t, s, everyMinute), newApp(t, s, everyMinute)
		b, late := first.browser(), second.browser()
		b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		late.plant("session_id", b.id())
		first.clock.Advance(time.Minute)
		second.clock.Advance(time.Minute)
		listed, won := make(chan struct{}), make(chan struct{})
		look := func(s *session.Session) {
			if user, err := s.User(); err != nil || user != "ada" {
				t.Error(user, err)
			}
		}
		var wg sync.WaitGroup
		second.store.fail(nil, onList(func() { close(listed); <-won }))
		first.store.fail(nil, onList(func() {
			wg.Go(func() { late.do(look) })
			<-listed
		}))
		before := b.id()
		b.do(look)
		require.NotEqual(t, before, b.id())
		close(won)
		wg.Wait()
		for range 2 { // the second time with what the first one left
			b.do(look)
			late.do(look)
			require.Equal(t, b.id(), late.id())
			require.Len(t, publicIDs(t, first.manager, "ada"), 1)
			first.clock.Advance(time.Minute)
			second.clock.Advance(time.Minute)
		}
		n, err := second.manager.RevokeAll(ctx, "ada")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, ok := alive(t, first.manager, b.id())
		require.False(t, ok)
	})
}

// TestListedWhileItGetsANewId: a session is in its user's list at every moment
// of a timed renewal, even while the list is being read.
func TestListedWhileItGetsANewId(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a, reader := newApp(t, s, everyMinute), newApp(t, s, everyMinute)
		b := a.browser()
		b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		for _, begun := range []bool{false, true} { // before the list is read
			for step, hit := 0, true; hit; step++ {
				a.clock.Advance(time.Minute)
				reader.clock.Set(a.clock.Now())
				listed, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
				before := b.id()
				renew := func() {
					b.do(func(s *session.Session) { _, _ = s.User() })
					close(done)
				}
				if begun {
					a.store.fail(nil, onList(func() { close(listed); <-goOn }))
					go renew()
					<-listed
				}
				calls := 0
				hit = false
				finish := func() {
					if begun {
						close(goOn)
					} else {
						go renew()
					}
					<-done
				}
				reader.store.fail(func(operation) error {
					if calls++; calls-1 == step {
						hit = true
						finish()
					}
					return nil
				}, nil)
				require.Len(t, publicIDs(t, reader.manager, "ada"), 1, "a new id at step %d, begun before %v", step, clockStart)
				if !hit {
					finish()
				}
				a.store.fail(nil, nil)
				require.NotEqual(t, before, b.id())
			}
		}
	})
}

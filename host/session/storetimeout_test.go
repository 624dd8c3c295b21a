package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// stuck is a store that does not answer certain operations. It waits as a store
// that honours its context may.
type stuck struct {
	store.Store
	wait  func(ctx context.Context) error
	which atomic.Pointer[string]
	ctx   atomic.Pointer[context.Context] // of the last stuck operation
}

func (s *stuck) stop(name string) { s.which.Store(&name) }

func (s *stuck) enter(ctx context.Context, name string) error {
	if which := s.which.Load(); which == nil || *which != name {
		return nil
	}
	s.ctx.Store(&ctx)
	return s.wait(ctx)
}

func (s *stuck) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	if err := s.enter(ctx, "get"); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key, now)
}

func (s *stuck) Set(ctx context.Context, w store.Write) error {
	if err := s.enter(ctx, "set"); err != nil {
		return err
	}
	return s.Store.Set(ctx, w)
}

func (s *stuck) Delete(ctx context.Context, key []byte, now store.Millis) error {
	if err := s.enter(ctx, "delete"); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key, now)
}

// waits are the ways in which a store can wait until its context ends.
var waits = map[string]func(context.Context) error{
	"Done": func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	},
	"Err": func(ctx context.Context) error {
		for ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return fmt.Errorf("asking again: %w", ctx.Err())
	},
	"Deadline": func(ctx context.Context) error {
		at, ok := ctx.Deadline()
		if !ok {
			at = time.Now().Add(time.Minute)
		}
		time.Sleep(time.Until(at))
		return fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded)
	},
	"a context of its own": func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		<-ctx.Done()
		return context.Cause(ctx)
	},
}

const patience = 50 * time.Millisecond

func patient(s *session.Settings) { s.StoreTimeout = patience }

// TestStoreThatDoesNotAnswer: it holds no request for longer than StoreTimeout,
// in reads or writes, however it waits.
func TestStoreThatDoesNotAnswer(t *testing.T) {
	for name, wait := range waits {
		for _, c := range []struct {
			op string
			do func(s *session.Session) error
		}{
			{"get", func(s *session.Session) error { _, err := s.Has("user"); return err }},
			{"get", func(s *session.Session) error { _ = s.Set("n", 1); return s.Save() }},
			{"set", func(s *session.Session) error { _ = s.Set("n", 1); return s.Save() }},
			{"set", func(s *session.Session) error { _ = s.Renew(); return s.Save() }},
			{"set", func(s *session.Session) error { return s.Destroy() }},
		} {
			t.Run(name+", "+c.op, func(t *testing.T) {
				overStores(t, func(t *testing.T, beneath store.Store) {
					s := &stuck{Store: beneath, wait: wait}
					a := newApp(t, s, patient)
					b := a.browser()
					b.set("user", "ada")
					id := b.id()
					a.kinds()
					s.stop(c.op)
					begin := time.Now()
					got := b.serve(func(w http.ResponseWriter, r *http.Request) {
						err := c.do(session.From(r))
						require.ErrorIs(t, err, store.ErrUnavailable)
						require.ErrorContains(t, err, "did not answer within 50ms")
						require.NotErrorIs(t, err, context.DeadlineExceeded, "which would be the client's")
						a.manager.WriteError(w, r, err)
					})
					require.GreaterOrEqual(t, time.Since(begin), patience)
					require.Less(t, time.Since(begin), 10*time.Second)
					require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
					require.Equal(t, "1", got.Header.Get("Retry-After"))
					require.Contains(t, a.kinds(), session.EventUnavailable)
					s.stop("")
					require.Equal(t, "ada", a.peek(id), "nothing was lost")
				})
			})
		}
	}
}

// TestSaveOutlivesTheClientButNotForEver: a client that hangs up does not end a
// save, but a save that hangs still ends.
func TestSaveOutlivesTheClientButNotForEver(t *testing.T) {
	s := &stuck{Store: store.NewMemory(), wait: waits["Done"]}
	a := newApp(t, s, patient)
	id := a.login("ada")
	saved := func(stop string) error {
		client, hangUp := context.WithCancel(ctx)
		one := a.manager.Session(client, id)
		require.NoError(t, one.Set("n", 1))
		look(one)
		s.stop(stop)
		defer s.stop("")
		hangUp()
		return one.Save()
	}
	require.NoError(t, saved(""))
	a.kinds()
	begin := time.Now()
	require.ErrorIs(t, saved("set"), store.ErrUnavailable)
	require.GreaterOrEqual(t, time.Since(begin), patience)
	require.Contains(t, a.kinds(), session.EventUnavailable)
}

// TestClientThatLeavesEndsItsLoad at once, and that is not the store's fault.
func TestClientThatLeavesEndsItsLoad(t *testing.T) {
	for name, wait := range waits {
		if name == "Deadline" {
			continue // it accesses nothing else
		}
		t.Run(name, func(t *testing.T) {
			s := &stuck{Store: store.NewMemory(), wait: wait}
			a := newApp(t, s, func(s *session.Settings) { s.StoreTimeout = time.Hour })
			id := a.login("ada")
			a.kinds()
			client, hangUp := context.WithCancel(ctx)
			s.stop("get")
			time.AfterFunc(10*time.Millisecond, hangUp)
			_, err := a.manager.Session(client, id).Has("user")
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, store.ErrUnavailable)
			require.Empty(t, a.kinds())
		})
	}
	t.Run("a deadline of the request's own", func(t *testing.T) {
		s := &stuck{Store: store.NewMemory(), wait: waits["Deadline"]}
		a := newApp(t, s, func(s *session.Settings) { s.StoreTimeout = time.Hour })
		id := a.login("ada")
		s.stop("get")
		client, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		_, err := a.manager.Session(client, id).Has("user")
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NotErrorIs(t, err, store.ErrUnavailable)
	})
}

// TestStoreWithATimeoutOfItsOwn: if the store gives up, that is its own fault
// and not that of a client that is still there.
func TestStoreWithATimeoutOfItsOwn(t *testing.T) {
	for _, own := range []error{context.DeadlineExceeded, context.Canceled} {
		for _, timeout := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprint(own, " ", timeout), func(t *testing.T) {
				a := newApp(t, store.NewMemory(), func(s *session.Settings) { s.StoreTimeout = timeout })
				id := a.login("ada")
				a.kinds()
				a.store.fail(on("get", fmt.Errorf("dial tcp: %w", own)), nil)
				got := a.at(id, func(s *session.Session) { _ = s.Set("n", 1) })
				require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
				require.Equal(t, []session.EventKind{session.EventUnavailable}, a.kinds())
			})
		}
	}
}

// TestListsDoNotWaitForEver: operations without a session have the same bound.
func TestListsDoNotWaitForEver(t *testing.T) {
	for name, do := range map[string]func(m *session.Manager, publicID string) error{
		"Sessions":  func(m *session.Manager, _ string) error { _, err := m.UserSessions(ctx, "ada"); return err },
		"Revoke":    func(m *session.Manager, publicID string) error { _, err := m.Revoke(ctx, "ada", publicID); return err },
		"RevokeAll": func(m *session.Manager, _ string) error { _, err := m.RevokeAll(ctx, "ada"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			s := &stuck{Store: store.NewMemory(), wait: waits["Done"]}
			a := newApp(t, s, patient)
			_, publicID := logIn(t, a.manager, "ada")
			s.stop("get")
			require.ErrorIs(t, do(a.manager, publicID), store.ErrUnavailable)
			s.stop("")
			require.NoError(t, do(a.manager, publicID))
		})
	}
}

// TestContextOfAnOperation: the context ends with its operation, as usual, and
// knows the values of the request.
func TestContextOfAnOperation(t *testing.T) {
	type name struct{}
	s := &stuck{Store: store.NewMemory()}
	a := newApp(t, s)
	id := a.login("ada")
	var kept []context.Context
	s.wait = func(ctx context.Context) error {
		require.Equal(t, "request", ctx.Value(name{}))
		require.NoError(t, ctx.Err())
		at, ok := ctx.Deadline()
		require.True(t, ok)
		require.InDelta(t, 10, time.Until(at).Seconds(), 1)
		select {
		case <-ctx.Done():
			t.Error("it is over before it began")
		default:
		}
		for _, earlier := range kept {
			require.ErrorIs(t, earlier.Err(), context.Canceled)
			<-earlier.Done()
		}
		kept = append(kept, ctx)
		return nil
	}
	request := context.WithValue(ctx, name{}, "request")
	one := a.manager.Session(request, id)
	s.stop("get")
	look(one)
	s.stop("set")
	for range 3 {
		require.NoError(t, one.Set("n", 1))
		require.NoError(t, one.Save())
	}
	require.Len(t, kept, 4)
	require.NoError(t, request.Err())
}

// TestNoStoreTimeout: Off is off.
func TestNoStoreTimeout(t *testing.T) {
	s := &stuck{Store: store.NewMemory(), wait: func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); ok || ctx.Done() != nil || ctx.Err() != nil {
			return errors.New("there is an end")
		}
		return nil
	}}
	a := newApp(t, s, func(s *session.Settings) { s.StoreTimeout = session.Off })
	s.stop("set")
	require.NotEmpty(t, a.login("ada"))
}

// TestContextKeptBeyondItsCall: somebody who keeps the context of a call that is over
// may ask it at any time. It is over, whatever call the session makes by then, and
// that call goes on.
func TestContextKeptBeyondItsCall(t *testing.T) {
	s := &stuck{Store: store.NewMemory()}
	a := newApp(t, s)
	id := a.login("ada")
	var kept context.Context
	s.wait = func(ctx context.Context) error { kept = ctx; return nil }
	one := a.manager.Session(ctx, id)
	s.stop("get")
	look(one)
	s.wait = func(ctx context.Context) error {
		<-kept.Done()
		require.ErrorIs(t, kept.Err(), context.Canceled)
		require.NoError(t, ctx.Err())
		require.NoError(t, ctx.Err())
		return nil
	}
	s.stop("set")
	require.NoError(t, one.Set("n", 1))
	require.NoError(t, one.Save())

	// The same from other goroutines: the race detector sees what is not allowed.
	s.wait = func(ctx context.Context) error { kept = ctx; return nil }
	one = a.manager.Session(ctx, id)
	s.stop("get")
	look(one)
	s.stop("")
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = kept.Err()
					_ = kept.Value("x")
				}
			}
		})
	}
	for n := range 200 {
		require.NoError(t, one.Set("n", n))
		require.NoError(t, one.Save())
	}
	close(stop)
	asking.Wait()
}

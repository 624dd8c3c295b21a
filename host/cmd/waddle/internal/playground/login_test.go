package playground_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestLogin(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		v := visit(t, serve(t, s))
		v.ok("PUT", "/api/session/basket", `["duck"]`)
		before := v.id()

		a := v.ok("POST", "/api/login", `{"user":"ada","remember":true}`)
		require.Equal(t, `"ada"`, string(a.session(t).Values["user"]))
		after := v.id()
		require.NotEqual(t, before, after)
		require.Equal(t, map[string]string{"basket": `["duck"]`, "user": `"ada"`}, v.values())

		thief := v.with(before)
		require.True(t, thief.session().New, "the id from before the log-in must reach nothing")
		require.Empty(t, thief.values())
		thief.ok("PUT", "/api/session/basket", `"stolen"`)
		require.Equal(t, before, thief.id(), "a page from before the log-in must not replace its cookie")
		require.Empty(t, thief.values(), "an id that a client brings is not adopted")
		require.Equal(t, `["duck"]`, v.values()["basket"])

		v.ok("POST", "/api/login", `{"user":"grace"}`)
		require.NotEqual(t, after, v.id(), "every log-in renews")
		require.Equal(t, `"grace"`, v.values()["user"])
	})
}

func TestLoginWithoutSession(t *testing.T) {
	v := visit(t, serve(t, store.NewMemory()))
	v.ok("POST", "/api/login", `{"user":"ada"}`)
	require.Len(t, v.id(), 43)
	require.Equal(t, map[string]string{"user": `"ada"`}, v.values())
}

func TestLogout(t *testing.T) {
	onStores(t, func(t *testing.T, s store.Store) {
		v := visit(t, serve(t, s))
		v.ok("PUT", "/api/session/basket", `["duck"]`)
		v.ok("POST", "/api/login", `{"user":"ada"}`)
		id := v.id()

		a := v.ok("POST", "/api/logout", "")
		require.Empty(t, a.session(t).Values)
		require.True(t, a.session(t).New)
		require.Empty(t, v.id(), "the browser forgets the cookie")
		require.Empty(t, v.values())
		require.Empty(t, v.with(id).values(), "what the old id named is gone")

		v.ok("POST", "/api/logout", "") // twice is once
		v.ok("POST", "/api/session/visits/increment", "")
		require.Equal(t, map[string]string{"visits": "1"}, v.values(), "a session after that begins empty")
		require.NotEqual(t, id, v.id())
	})
}

// A request that was running when its visitor logged out brings nothing back.
func TestLogoutIsFinal(t *testing.T) {
	slow := &slowStore{Store: store.NewMemory(), reached: make(chan struct{}), release: make(chan struct{})}
	v := visit(t, serve(t, slow))
	v.ok("POST", "/api/login", `{"user":"ada"}`)
	id := v.id()

	slow.arm()
	done := make(chan answer, 1)
	go func() { done <- v.with(id).do("PUT", "/api/session/late", "1") }()
	<-slow.reached
	v.ok("POST", "/api/logout", "")
	close(slow.release)
	<-done
	require.True(t, v.with(id).session().New)
	require.Empty(t, v.with(id).values())
}

// slowStore, once armed, delays the next Get after its read.
type slowStore struct {
	store.Store
	armed            chan struct{}
	reached, release chan struct{}
}

func (s *slowStore) arm() {
	s.armed = make(chan struct{}, 1)
	s.armed <- struct{}{}
}

func (s *slowStore) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	value, err := s.Store.Get(ctx, key, now)
	select {
	case <-s.armed:
		close(s.reached)
		<-s.release
	default:
	}
	return value, err
}

package scsstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/scsstore"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// The store does all that scs asks of one.
func TestStore(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		kept := open(t, s, scsstore.Settings{})
		_, found, err := kept.Find("token")
		require.NoError(t, err)
		require.False(t, found)
		require.NoError(t, kept.Delete("token of nothing"))

		until := time.Now().Add(time.Hour)
		require.NoError(t, kept.Commit("token", []byte("data"), until))
		b, found, err := kept.Find("token")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "data", string(b))
		require.NoError(t, kept.Commit("token", []byte("other data"), until))
		b, _, err = kept.Find("token")
		require.NoError(t, err)
		require.Equal(t, "other data", string(b))

		require.NoError(t, kept.Commit("token", nil, time.Now().Add(-time.Second)), "a time that has passed")
		_, found, err = kept.Find("token")
		require.NoError(t, err)
		require.False(t, found)
		for _, past := range []time.Time{{}, time.Unix(0, 0), time.Unix(0, 1)} { // 0 is never, for a store
			require.NoError(t, kept.Commit("token", nil, past))
			_, found, err = kept.Find("token")
			require.NoError(t, err)
			require.False(t, found)
		}

		require.NoError(t, kept.Commit("", []byte("nobody's"), until))
		require.NoError(t, kept.Delete(""))
		for _, token := range []string{"", "token", strings.Repeat("x", 1<<20), "\x00"} {
			_, found, err = kept.Find(token)
			require.NoError(t, err)
			require.False(t, found)
		}
	})
}

func TestExpiryToTheMillisecond(t *testing.T) {
	clock := new(sessiontest.Clock)
	kept := open(t, store.NewMemory(), scsstore.Settings{Now: clock.Now})
	require.NoError(t, kept.Commit("token", nil, clock.Now().Add(1500*time.Millisecond)))
	clock.Advance(1499 * time.Millisecond)
	_, found, err := kept.Find("token")
	require.NoError(t, err)
	require.True(t, found)
	clock.Advance(time.Millisecond)
	_, found, err = kept.Find("token")
	require.NoError(t, err)
	require.False(t, found)
}

func TestAll(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		kept := open(t, s, scsstore.Settings{Keyring: keyring(t)})
		all, err := kept.All()
		require.NoError(t, err)
		require.NotNil(t, all)
		require.Empty(t, all)
		until := time.Now().Add(time.Hour)
		want := make(map[string][]byte)
		for i := range 20 {
			token, data := fmt.Sprint("token ", i), []byte(fmt.Sprint("data ", i))
			require.NoError(t, kept.Commit(token, data, until))
			want[token] = data
		}
		require.NoError(t, kept.Delete("token 7"))
		delete(want, "token 7")
		all, err = kept.All()
		require.NoError(t, err)
		require.Equal(t, want, all)

		_, err = open(t, s, scsstore.Settings{}).All()
		require.ErrorIs(t, err, store.ErrUnsupported)
		require.ErrorContains(t, err, "Keyring")
	})
}

func TestSettings(t *testing.T) {
	_, err := scsstore.New(nil, scsstore.Settings{})
	require.ErrorIs(t, err, session.ErrSettings)
	_, err = scsstore.New(store.NewMemory(), scsstore.Settings{ReadUnsealedUntil: time.Now()})
	require.ErrorIs(t, err, session.ErrSettings)
}

// broken is a store that does not answer.
type broken struct{ store.Store }

func (broken) Get(context.Context, []byte, store.Millis) ([]byte, error) {
	return nil, store.ErrUnavailable
}
func (broken) Set(context.Context, store.Write) error { return store.ErrUnavailable }

func TestErrors(t *testing.T) {
	kept := open(t, broken{store.NewMemory()}, scsstore.Settings{})
	_, _, err := kept.Find("token")
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.ErrorIs(t, kept.Commit("token", nil, time.Now().Add(time.Hour)), store.ErrUnavailable)
	require.ErrorIs(t, kept.Delete("token"), store.ErrUnavailable)

	kept = open(t, store.NewMemory(), scsstore.Settings{MaxSize: 4})
	require.ErrorIs(t, kept.Commit("token", []byte("five!"), time.Now().Add(time.Hour)), session.ErrTooLarge)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, kept.CommitCtx(ctx, "token", nil, time.Now().Add(time.Hour)), context.Canceled)
	_, _, err = kept.FindCtx(ctx, "token")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, kept.DeleteCtx(ctx, "token"), context.Canceled)
}

// A request that is still running cannot bring back a session that another one
// destroyed or gave a new token.
func TestEndIsFinal(t *testing.T) {
	for _, end := range []string{"/destroy", "/renew"} {
		t.Run(end, func(t *testing.T) {
			overStores(t, func(t *testing.T, s store.Store) {
				manager := scs.New()
				manager.IdleTimeout = time.Hour // each request commits
				manager.Store = open(t, s, scsstore.Settings{})
				var failed error
				manager.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
					failed = err
					http.Error(w, "ended", http.StatusConflict)
				}
				waits, goes := make(chan bool), make(chan bool)
				mux := http.NewServeMux()
				mux.HandleFunc("/put", func(_ http.ResponseWriter, r *http.Request) { manager.Put(r.Context(), "user", "ada") })
				mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { waits <- true; <-goes })
				mux.HandleFunc("/destroy", func(_ http.ResponseWriter, r *http.Request) { _ = manager.Destroy(r.Context()) })
				mux.HandleFunc("/renew", func(_ http.ResponseWriter, r *http.Request) { _ = manager.RenewToken(r.Context()) })
				mux.HandleFunc("/user", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, manager.GetString(r.Context(), "user")) })
				server := newServer(t, manager.LoadAndSave(mux))
				b := newBrowser(t, server)
				b.get("/put")
				old := b.cookie("session")
				thief := b.at(server)
				done := make(chan int)
				go func() {
					r, _ := http.NewRequest(http.MethodGet, server.URL+"/slow", nil)
					r.Header.Set("Cookie", "session="+old)
					resp, err := http.DefaultClient.Do(r)
					if err != nil {
						done <- 0
						return
					}
					resp.Body.Close()
					done <- resp.StatusCode
				}()
				<-waits
				b.get(end)
				goes <- true
				require.Equal(t, http.StatusConflict, <-done)
				require.ErrorIs(t, failed, scsstore.ErrEnded)
				_, user := thief.get("/user")
				require.Empty(t, user)
				_, user = b.get("/user")
				require.Equal(t, end == "/renew", user == "ada")
			})
		})
	}
}

// Iterate finds sessions by their tokens, and what it does to them counts.
func TestIterate(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		manager := scs.New()
		manager.Store = open(t, s, scsstore.Settings{Keyring: keyring(t)})
		for _, user := range []string{"ada", "bob", "ada"} {
			ctx, err := manager.Load(t.Context(), "")
			require.NoError(t, err)
			manager.Put(ctx, "user", user)
			_, _, err = manager.Commit(ctx)
			require.NoError(t, err)
		}
		var users []string
		each := func(ctx context.Context) error {
			users = append(users, manager.GetString(ctx, "user"))
			if manager.GetString(ctx, "user") == "ada" {
				return manager.Destroy(ctx)
			}
			return nil
		}
		require.NoError(t, manager.Iterate(t.Context(), each))
		require.ElementsMatch(t, []string{"ada", "bob", "ada"}, users)
		users = nil
		require.NoError(t, manager.Iterate(t.Context(), each))
		require.Equal(t, []string{"bob"}, users)
		require.Error(t, manager.Iterate(t.Context(), func(context.Context) error { return errors.New("stop") }))
	})
}

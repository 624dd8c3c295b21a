package scsstore_test

import (
	"encoding/gob"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/adapt/scsstore"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// cart is a type that an application registered with gob.
type cart struct{ Items []string }

func init() {
	gob.Register(cart{})
	gob.Register(time.Time{})
}

// former is a server that uses scs.
func former(manager *scs.SessionManager) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		_ = manager.RenewToken(ctx)
		manager.Put(ctx, "user", "ada")
		manager.Put(ctx, "visits", 3)
		manager.Put(ctx, "since", time.Unix(1767225600, 0).UTC())
		manager.Put(ctx, "cart", cart{[]string{"tea", "milk"}})
		manager.RememberMe(ctx, true)
	})
	return manager.LoadAndSave(mux)
}

// next is the same server with a session.Manager.
func next(manager *session.Manager, over func(http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/user", func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		fmt.Fprint(w, session.Value(s, s.User), " ", session.NewKey[string]("user").Value(s), " ",
			session.NewKey[int]("visits").Value(s), " ", session.NewKey[time.Time]("since").Value(s).Unix(), " ",
			session.NewKey[cart]("cart").Value(s).Items)
	})
	mux.HandleFunc("/logout", func(_ http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		s.Check(s.Destroy())
	})
	return manager.Handler(over(mux))
}

const ada = "ada ada 3 1767225600 [tea milk]"
const nobody = "  0 -62135596800 []"

func TestTakeOver(t *testing.T) {
	for _, hashed := range []bool{false, true} {
		for _, name := range []string{"session", "session_id"} { // another name than ours, and the same
			t.Run(fmt.Sprint(name, " hashed ", hashed), func(t *testing.T) {
				overStores(t, func(t *testing.T, s store.Store) {
					old := scs.New()
					old.Store = memstore.NewWithCleanupInterval(0)
					old.HashTokenInStore = hashed
					old.Cookie.Name = name
					old.Cookie.Persist = false
					before := newServer(t, former(old))
					visitor := newBrowser(t, before)
					visitor.get("/login")
					require.NotEmpty(t, visitor.cookie(name))

					manager, err := session.New(s, session.Settings{ExpireAtBrowserClose: true})
					require.NoError(t, err)
					over, err := scsstore.TakeOver(manager, old, takeover.Settings{
						Until: time.Now().Add(24 * time.Hour),
						User:  func(values map[string]any) string { user, _ := values["user"].(string); return user },
					})
					require.NoError(t, err)
					after := newServer(t, next(manager, over))
					copied := visitor.at(after)
					late := visitor.at(after)
					visitor = visitor.at(after)

					_, _ = visitor.get("/")
					require.NotEmpty(t, visitor.cookie(name), "nobody looked, nothing happened")
					_, user := visitor.get("/user")
					require.Equal(t, ada, user)
					require.NotEmpty(t, visitor.cookie("session_id"))
					if name != "session_id" {
						require.Empty(t, visitor.cookie(name))
					}
					sessions, err := manager.UserSessions(t.Context(), "ada")
					require.NoError(t, err)
					require.Len(t, sessions, 1)
					left, err := old.Store.(*memstore.MemStore).All()
					require.NoError(t, err)
					require.Empty(t, left)

					_, user = late.get("/user")
					require.Equal(t, ada, user, "a request that was under way")
					require.Equal(t, visitor.cookie("session_id"), late.cookie("session_id"))
					visitor.get("/logout")
					_, user = visitor.get("/user")
					require.Equal(t, nobody, user)
					_, user = copied.get("/user")
					require.Equal(t, nobody, user, "log-out is final")
				})
			})
		}
	}
}

func TestTakeOverKeepsWhatIsNotRead(t *testing.T) {
	old := scs.New()
	old.Store = memstore.NewWithCleanupInterval(0)
	before := newServer(t, former(old))
	visitor := newBrowser(t, before)
	visitor.get("/login")

	manager, err := session.New(store.NewMemory(), session.Settings{})
	require.NoError(t, err)
	good := old.Codec
	old.Codec = unreadable{}
	over, err := scsstore.TakeOver(manager, old, takeover.Settings{Until: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	after := newServer(t, next(manager, over))
	visitor = visitor.at(after)
	status, _ := visitor.get("/user")
	require.Equal(t, http.StatusInternalServerError, status)
	require.NotEmpty(t, visitor.cookie("session"))
	old.Codec = good
	_, user := visitor.get("/user")
	require.Equal(t, " "+ada[4:], user, "bound to no user, but the values are there")

	stranger := newBrowser(t, after)
	_, user = stranger.get("/user")
	require.Equal(t, nobody, user)
}

// unreadable is a codec in a program that lacks a type.
type unreadable struct{ scs.GobCodec }

func (unreadable) Decode([]byte) (time.Time, map[string]any, error) {
	return time.Time{}, nil, fmt.Errorf("gob: name not registered for interface")
}

func TestTakeOverSettings(t *testing.T) {
	manager, err := session.New(store.NewMemory(), session.Settings{})
	require.NoError(t, err)
	_, err = scsstore.TakeOver(manager, scs.New(), takeover.Settings{})
	require.ErrorIs(t, err, session.ErrSettings)
	require.ErrorContains(t, err, "Until")
	_, err = scsstore.TakeOver(manager, nil, takeover.Settings{Until: time.Now()})
	require.ErrorIs(t, err, session.ErrSettings)
	_, err = scsstore.TakeOver(nil, scs.New(), takeover.Settings{Until: time.Now()})
	require.ErrorIs(t, err, session.ErrSettings)
}

// Package gincontribstore keeps the sessions of github.com/gin-contrib/sessions in
// any [store.Store]: a bundled engine, a plugin of your own, the native store.
//
//	kept, err := gincontribstore.New(engine, gincontribstore.Settings{})
//	router.Use(sessions.Sessions("name", kept))
//
// It is [gorillastore.Store] with the method that gin-contrib adds, and promises the
// same.
//
// [TakeOver] lets a server with a [session.Manager] go on with the sessions that
// gin-contrib left behind.
package gincontribstore

import (
	"net/http"

	"github.com/gin-contrib/sessions"
	"github.com/waddle-sessions/waddle/host/adapt/gorillastore"
	"github.com/waddle-sessions/waddle/host/adapt/takeover"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// ErrEnded is returned by Save when another request deleted the session or gave it
// another id, or when it expired meanwhile. Nothing is stored.
var ErrEnded = gorillastore.ErrEnded

// Settings say how sessions are kept. The zero value of each is its default.
type Settings = gorillastore.Settings

// Store is a store of gin-contrib/sessions. It may be used by many goroutines.
type Store struct{ *gorillastore.Store }

var _ sessions.Store = Store{}

// New returns a store of sessions. It returns [session.ErrSettings] for settings
// that cannot work.
func New(s store.Store, settings Settings) (Store, error) {
	kept, err := gorillastore.New(s, settings)
	return Store{kept}, err
}

// Options sets the cookie's attributes of new sessions. It must not be called while
// requests are served.
func (s Store) Options(o sessions.Options) { s.Store.Options = o.ToGorillaOptions() }

// TakeOver returns middleware for inside m.Handler by which a server goes on with
// the sessions that a store of gin-contrib has under a name; see
// [gorillastore.TakeOver]. With gin, pass it to ginsession or wrap the engine:
// m.Handler(over(engine)).
func TakeOver(m *session.Manager, old sessions.Store, name string, settings takeover.Settings) (func(http.Handler) http.Handler, error) {
	return gorillastore.TakeOver(m, old, name, settings)
}

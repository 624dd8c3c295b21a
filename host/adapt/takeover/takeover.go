// Package takeover lets a server go on with the sessions that another library left
// behind, so that a change of the library logs nobody out. It is the part that all
// libraries share; the packages scsstore, gorillastore and gincontribstore beside
// it read the sessions of theirs.
//
// [Handler] makes middleware for inside (*session.Manager).Handler:
//
//	sessions.Handler(over(app))
//
// A request that comes with the old cookie and without a session of the manager gets a
// session with the old one's values when its handler first accesses it.
// [session.Session.TakeOver] says what is promised.
package takeover

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
)

// Settings say how old sessions are taken over. Until is required.
type Settings struct {
	// Until is when the old sessions stop counting, and their cookies are ignored. The
	// time at which the last one would have ended is enough. Until then the storage
	// remembers which ones were taken over. It must be the same each time the program
	// starts.
	Until time.Time

	// User returns the user whose session it was, or empty for nobody. The user is then
	// logged in with the new session. nil binds no session to a user.
	User func(values map[string]any) string

	// Take fills the new session. It replaces Plain, which is the default. An error
	// fails the request, and the old session stays as it is. It must not use the
	// request's own session, which waits for it.
	Take func(fresh *session.Session, values map[string]any) error

	// OnLeft is told of the names of values that Plain could not take. nil logs each
	// name once.
	OnLeft func(ctx context.Context, names []string)
}

// Library reads the sessions of another library. Read and Remove may be called by
// many goroutines.
type Library struct {
	// Cookie is the library's cookie: its name, and the domain, path and attributes by
	// which a browser forgets it.
	Cookie http.Cookie

	// Token returns the secret that a cookie's value holds, and false for a value that
	// the library did not make. nil takes each value as it is. It is asked for every
	// request with such a cookie, and should not ask a storage.
	Token func(value string) (token string, ok bool)

	// Read returns the values of the session of a request, and false if there is none.
	// It must not change the request.
	Read func(r *http.Request, token string) (values map[string]any, found bool, err error)

	// Own removes from the values those that the library keeps for itself, and applies
	// their meaning to the new session. nil is for libraries that keep none.
	Own func(fresh *session.Session, values map[string]any)

	// Remove removes the session from its storage. nil is for libraries that keep it in the
	// cookie.
	Remove func(r *http.Request, token string) error
}

// Handler returns middleware that takes over the sessions of a library. It belongs
// inside the manager's Handler. It returns [session.ErrSettings] if Until is not
// set or the library cannot be read.
func Handler(m *session.Manager, library Library, settings Settings) (func(http.Handler) http.Handler, error) {
	switch {
	case m == nil:
		return nil, fmt.Errorf("%w: the manager is nil: must be the one whose Handler is around", session.ErrSettings)
	case settings.Until.IsZero():
		return nil, fmt.Errorf("%w: Until is not set: must be the time at which the old sessions stop counting, the same each time the program starts", session.ErrSettings)
	case library.Cookie.Name == "" || library.Read == nil:
		return nil, fmt.Errorf("%w: the library has no cookie's name or no Read: must have both", session.ErrSettings)
	}
	if settings.OnLeft == nil {
		settings.OnLeft = logLeft()
	}
	t := &taker{manager: m, library: library, settings: settings}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t.look(r)
			next.ServeHTTP(w, r)
		})
	}, nil
}

type taker struct {
	manager  *session.Manager
	library  Library
	settings Settings
}

// look hands the old session to the request's, if the request has the old cookie.
func (t *taker) look(r *http.Request) {
	if !hasCookie(r.Header, t.library.Cookie.Name) {
		return
	}
	for _, c := range r.CookiesNamed(t.library.Cookie.Name) {
		token, ok := c.Value, c.Value != ""
		if ok && t.library.Token != nil {
			token, ok = t.library.Token(c.Value)
		}
		if !ok {
			continue
		}
		old := session.OldSession{
			Token: t.library.Cookie.Name + "\x00" + token, Cookie: &t.library.Cookie, Until: t.settings.Until,
			Fill: func(ctx context.Context, fresh *session.Session) (bool, error) {
				values, found, err := t.library.Read(r.WithContext(ctx), token)
				if err != nil || !found {
					return false, err
				}
				return true, t.fill(ctx, fresh, values)
			},
		}
		if t.library.Remove != nil {
			old.Remove = func(ctx context.Context) error { return t.library.Remove(r.WithContext(ctx), token) }
		}
		t.manager.From(r).TakeOver(old)
		return
	}
}

// hasCookie reports whether there may be a cookie of a name. It takes less time
// than reading all of them, and no memory.
func hasCookie(h http.Header, name string) bool {
	for _, line := range h["Cookie"] {
		for {
			i := strings.Index(line, name)
			if i < 0 {
				break
			}
			line = line[i+len(name):]
			if strings.HasPrefix(line, "=") {
				return true
			}
		}
	}
	return false
}

func (t *taker) fill(ctx context.Context, fresh *session.Session, values map[string]any) error {
	if t.library.Own != nil {
		t.library.Own(fresh, values)
	}
	if t.settings.Take != nil {
		if err := t.settings.Take(fresh, values); err != nil {
			return err
		}
	} else if left := Plain(fresh, values); len(left) > 0 {
		t.settings.OnLeft(ctx, left)
	}
	if t.settings.User == nil {
		return nil
	}
	if user := t.settings.User(values); user != "" {
		return fresh.LogIn(user, nil)
	}
	return nil
}

// Plain puts each value that the session's codec can write under its name, and
// returns the names of the others, sorted. A value is read back as its own type or
// one of the same form: a struct under the names of its fields.
func Plain(fresh *session.Session, values map[string]any) (left []string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := fresh.Set(name, values[name]); err != nil {
			left = append(left, name)
		}
	}
	return left
}

// logLeft logs each name once: names are few, and sessions many.
func logLeft() func(context.Context, []string) {
	var said sync.Map
	return func(ctx context.Context, names []string) {
		for _, name := range names {
			if _, known := said.LoadOrStore(name, true); !known {
				slog.WarnContext(ctx, "a value of an old session could not be taken over; takeover.Settings.Take can", "name", name)
			}
		}
	}
}

// Package keepers lists, shows and ends sessions where they are kept: in a storage that this
// process opens, by a running 'waddle serve', or by a tenant of a running 'waddle host'.
package keepers

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Session is a session in a list.
type Session struct {
	Handle   string    `json:"handle"`
	User     string    `json:"user,omitempty"`
	PublicID string    `json:"public_id,omitempty"`
	Created  time.Time `json:"created"`
	LastSeen time.Time `json:"last_seen"`
	Expires  time.Time `json:"expires"`
	Size     int       `json:"size"`
}

// Detail is all that is stored of a session, but its id.
type Detail struct {
	Session
	Revision    uint64                     `json:"revision"`
	Issued      time.Time                  `json:"issued"`
	LoggedIn    time.Time                  `json:"logged_in,omitzero"`
	Note        map[string]string          `json:"note,omitempty"`
	Persistence string                     `json:"persistence"`
	Values      map[string]json.RawMessage `json:"values"`
	Unreadable  []string                   `json:"unreadable,omitempty"`
}

// Keeper keeps sessions. Errors are those below, and those of the storage or network.
type Keeper interface {
	// Count counts all sessions.
	Count(ctx context.Context) (int64, error)

	// List lists up to so many sessions, of one user or of all if that is empty, and
	// reports whether there are more. A limit below 1 is none; a server may have one of its
	// own.
	List(ctx context.Context, user string, limit int) (list []Session, more bool, err error)

	// Show returns what is stored of a session, or ErrNone or ErrMoved.
	Show(ctx context.Context, handle string) (Detail, error)

	// End ends a session, and reports whether there was one. It returns ErrMoved as Show
	// does.
	End(ctx context.Context, handle string) (bool, error)

	// EndUser ends all sessions of a user, and returns how many.
	EndUser(ctx context.Context, user string) (int, error)

	// Close ends the use of the keeper.
	Close() error
}

var (
	// ErrNone is returned when there is no session with a handle.
	ErrNone = errors.New("no session has this handle: it was ended, has expired, or never was")

	// ErrMoved is returned when a session has another handle by now.
	ErrMoved = errors.New("the session has another handle by now; list the sessions again")
)

package session

import (
	"context"
	"log/slog"
)

// EventKind says what happened to a session.
type EventKind int

// The kinds of events.
const (
	// EventCreated: a new session was stored.
	EventCreated EventKind = iota + 1
	// EventRenewed: a session got a new id and the old one was removed.
	EventRenewed
	// EventDestroyed: a session was removed.
	EventDestroyed
	// EventExpired: a request came with a session that had ended, and the
	// store still had it.
	EventExpired
	// EventRejected: a request came with something that is no id of ours.
	EventRejected
	// EventConflict: a change met the change of another request and was
	// merged with it.
	EventConflict
	// EventCorrupt: a record or value could not be decoded and was taken as
	// absent. Err says why.
	EventCorrupt
	// EventGone: a change was dropped because another request had ended
	// the session. Err is ErrGone.
	EventGone
	// EventFailed: a change could not be stored and the response had already
	// begun, so that nobody but this event tells. Err says why.
	EventFailed
)

// String returns the kind in one word.
func (k EventKind) String() string {
	switch k {
	case EventCreated:
		return "created"
	case EventRenewed:
		return "renewed"
	case EventDestroyed:
		return "destroyed"
	case EventExpired:
		return "expired"
	case EventRejected:
		return "rejected"
	case EventConflict:
		return "conflict"
	case EventCorrupt:
		return "corrupt"
	case EventGone:
		return "gone"
	case EventFailed:
		return "failed"
	}
	return "unknown"
}

// Event is something that happened to a session. It is safe to log: it holds
// no id, no storage key and no value.
type Event struct {
	Kind EventKind

	// Session tells sessions apart in a log: the same words for the same id,
	// and nothing that leads to it. Empty if there is none.
	Session string

	// Err is the reason, where there is one.
	Err error
}

// logEvent is the default of Settings.OnEvent.
func logEvent(ctx context.Context, e Event) {
	switch e.Kind {
	case EventCorrupt, EventGone:
		slog.WarnContext(ctx, "session "+e.Kind.String(), "session", e.Session, "reason", e.Err)
	case EventFailed:
		slog.ErrorContext(ctx, "session "+e.Kind.String(), "session", e.Session, "reason", e.Err)
	}
}

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
	// EventRenewed: a session got a new id; the old one leads nowhere, or, in a
	// timed renewal, to the new one for a while.
	EventRenewed
	// EventDestroyed: a session was removed.
	EventDestroyed
	// EventExpired: a request came with a session that had ended but was still in the
	// store.
	EventExpired
	// EventRejected: a request came with something that is not an id of ours, or with
	// the id of a session that travels another way.
	EventRejected
	// EventConflict: a change met another request's change and was merged with it.
	EventConflict
	// EventCorrupt: a record or value could not be decoded and was treated as absent.
	// Err says why.
	EventCorrupt
	// EventUnavailable: a call of the storage failed. Err says why.
	EventUnavailable
	// EventGone: a change was dropped because another request had ended the session, or
	// renewed its id. Err is ErrGone, or ErrRenewed.
	EventGone
	// EventFailed: a change could not be stored, or a session could not be looked at,
	// after the response had begun. Nothing but this event tells of it. Err says why.
	EventFailed
	// EventUnlisted: a request came with a session that is bound to a user but missing
	// from the list of that user's sessions, by which they are shown and ended. It
	// counts as ended and is removed. Err says what the storage lost.
	EventUnlisted
	// EventClash: two managers of this program send cookies of the same name to the
	// same pages, so that each may take the other's visitors for strangers. It is sent
	// once; Err names both.
	EventClash
	// EventMisconfigured: a request shows that a setting does not fit how the program
	// is run. Err says which and what to do. Each is sent once.
	EventMisconfigured
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
	case EventUnavailable:
		return "unavailable"
	case EventGone:
		return "gone"
	case EventUnlisted:
		return "unlisted"
	case EventFailed:
		return "failed"
	case EventClash:
		return "clash"
	case EventMisconfigured:
		return "misconfigured"
	}
	return "unknown"
}

// Event is something that happened to a session. It is safe to log: it holds
// no id, no storage key, no value and no user's name.
type Event struct {
	Kind EventKind

	// Session tells sessions apart in a log: it is the same for the same id, and does
	// not lead to the id. It is empty if there is none.
	Session string

	// Previous is Session from before EventRenewed: with it a log shows in which
	// session a log-in began, and follows a session through its ids.
	Previous string

	// User tells users apart, to audit who logged in and out: it is the same for the
	// same name, see [Manager.UserLabels]. It is set if a session that is bound to a
	// user was created, renewed, destroyed, or found to be expired or unlisted.
	User string

	// Err is the reason, if there is one.
	Err error
}

// Level is the event's level in a log: errors must be mended, warnings should not
// go unseen, information records a session's life, and the rest is for debugging.
func (e Event) Level() slog.Level {
	switch e.Kind {
	case EventFailed, EventUnavailable, EventClash:
		return slog.LevelError
	case EventCorrupt, EventGone, EventUnlisted, EventMisconfigured:
		return slog.LevelWarn
	case EventCreated, EventRenewed, EventDestroyed:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// LogEvents returns a function for Settings.OnEvent that writes events to a
// logger at their level. A nil logger stands for [slog.Default] at the time of
// the event.
//
// Repeated warnings and errors are thinned, so that a storage that is down does
// not fill the disk. The first of each kind and reason are written at once; those
// that follow within a minute become one line with their number under "repeated".
// As long as that goes on, the interval doubles, up to an hour. All other events
// are written, and other functions of [Events] get every event.
func LogEvents(logger *slog.Logger) func(context.Context, Event) {
	return (&thinner{logger: logger}).event
}

// Events returns a function for Settings.OnEvent that calls several.
func Events(each ...func(context.Context, Event)) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		for _, f := range each {
			f(ctx, e)
		}
	}
}

// logSerious returns the default of Settings.OnEvent.
func logSerious() func(context.Context, Event) {
	log := LogEvents(nil)
	return func(ctx context.Context, e Event) {
		if e.Level() >= slog.LevelWarn {
			log(ctx, e)
		}
	}
}

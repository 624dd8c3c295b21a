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
	// timed rotation, to the new one for a while.
	EventRenewed
	// EventDestroyed: a session was removed.
	EventDestroyed
	// EventExpired: a request came with a session that had ended, and the
	// store still had it.
	EventExpired
	// EventRejected: a request came with something that is no id of ours, or
	// with the id of a session that travels another way.
	EventRejected
	// EventConflict: a change met the change of another request and was
	// merged with it.
	EventConflict
	// EventCorrupt: a record or value could not be decoded and was taken as
	// absent. Err says why.
	EventCorrupt
	// EventUnavailable: the storage did not do what it was asked. Err says why.
	EventUnavailable
	// EventGone: a change was dropped because another request had ended
	// the session, or renewed its id. Err is ErrGone, in the latter case
	// ErrRenewed.
	EventGone
	// EventFailed: a change could not be stored, or a session not be looked at,
	// and the response had already begun, so that nobody but this event tells.
	// Err says why.
	EventFailed
	// EventUnlisted: a request came with a session that is bound to a user, and the
	// list of that user's sessions, by which they are shown and ended, does not
	// have it. It counts as ended and is removed. Err says what the storage lost.
	EventUnlisted
	// EventClash: two managers of this program send cookies of one name to the
	// same pages, so that each may take the other's visitors for strangers.
	// Told once; Err names both.
	EventClash
	// EventMisconfigured: a request shows that a setting does not fit how the
	// program is run. Err says which and what to do. Each is said once.
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

	// Session tells sessions apart in a log: the same words for the same id,
	// and nothing that leads to it. Empty if there is none.
	Session string

	// Previous is what Session was before EventRenewed: with it a log tells of a
	// log-in which session it began in, and follows one through its ids.
	Previous string

	// User tells users apart, for the audit of who logged in and out: the same
	// word for the same name, see [Manager.UserLabels]. It is there where a
	// session that is bound to a user was created, renewed, destroyed, or found
	// to have expired or to be unlisted.
	User string

	// Err is the reason, where there is one.
	Err error
}

// Level is the event's weight in a log: errors are what somebody has to mend,
// warnings what should not go unseen, information what a session's life is
// made of, and the rest is for debugging.
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
// logger, at the event's level; nil stands for [slog.Default] at the time of the
// event.
//
// Warnings and errors that repeat are thinned, so that a storage that is down
// does not fill the disk: the first of each kind and reason are written at once,
// what follows within a minute as one line with its number under "repeated";
// as long as it goes on, the minutes double, up to an hour. Other events are each
// written, and so is what other functions of [Events] are told.
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

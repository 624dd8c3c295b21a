package tenant

import (
	"context"
	"log/slog"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/repeats"
)

// EventKind says what happened to a tenant.
type EventKind string

// The kinds of events.
const (
	EventDeployed   EventKind = "deployed"    // a new tenant serves
	EventReplaced   EventKind = "replaced"    // its plugin was replaced
	EventChanged    EventKind = "changed"     // its manifest changed, and the plugin stayed
	EventFailed     EventKind = "failed"      // its first deploy failed; Err says why
	EventRolledBack EventKind = "rolled back" // a replacement failed, and it goes on as before; Err says why
	EventDown       EventKind = "down"        // it has no plugin that runs; Err says why
	EventUp         EventKind = "up"          // it has one again
	EventRemoved    EventKind = "removed"
	EventCrashed    EventKind = "crashed" // an instance of its plugin ended; Err says why
	EventBackoff    EventKind = "backoff" // its plugin is not started for a while, since it failed; Err says why
	EventAsleep     EventKind = "asleep"
	EventAwake      EventKind = "awake"
)

// Event is something that happened to a tenant. It is safe to log: it holds no id, key or
// value of a session.
type Event struct {
	Kind   EventKind
	Tenant string
	Time   time.Time
	Err    error
}

// event tells the host's function and its log.
func (h *Host) event(kind EventKind, tenant string, err error) {
	h.config.Events(Event{Kind: kind, Tenant: tenant, Time: time.Now(), Err: err})
}

// logEvents returns the default of HostConfig.Events. Crashes repeat as fast as a guest
// makes them, so the log has a few of each tenant.
func logEvents(logger *slog.Logger) func(Event) {
	said := repeats.Filter{First: 3}
	return func(e Event) {
		level := slog.LevelInfo
		switch e.Kind {
		case EventAsleep, EventAwake:
			level = slog.LevelDebug
		case EventCrashed, EventBackoff, EventRolledBack, EventFailed:
			level = slog.LevelWarn
		case EventDown:
			level = slog.LevelError
		}
		args := []any{"tenant", e.Tenant}
		if level == slog.LevelWarn {
			ok, unsaid := said.Take(string(e.Kind)+" "+e.Tenant, e.Time)
			if !ok {
				return
			}
			if unsaid > 0 {
				args = append(args, "repeated", unsaid)
			}
		}
		if e.Err != nil {
			args = append(args, "error", e.Err)
		}
		logger.Log(context.Background(), level, "tenant "+string(e.Kind), args...)
	}
}

package session

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// A storage that is down fails every request, and one cookie of a record that
// cannot be read warns at each. Logged one by one, repetitions drown the rest and
// fill the disk. So the first warnings and errors of a class are written at once,
// and those that follow are counted: one line for each interval gives their
// number. The interval doubles for as long as it goes on. All other events, which
// tell of a session's life, are written.
const (
	thinFirst    = time.Minute
	thinLongest  = time.Hour
	thinLines    = 3  // of a class that are written at once
	thinClasses  = 64 // that are kept apart; beyond them, only the kinds are
	thinClassLen = 120
)

// thinner writes events to a logger.
type thinner struct {
	logger *slog.Logger // nil for the default one at the time

	mu      sync.Mutex
	classes map[eventClass]*repetition
}

// eventClass tells which events are the same news.
type eventClass struct {
	kind   EventKind
	reason string
}

// repetition is the state of a class in the current interval.
type repetition struct {
	interval time.Duration
	sessions []string // of the lines that were written
	count    int      // events since then that were not
	last     Event    // the last of these
	mixed    bool     // they were of several sessions
}

func (t *thinner) event(ctx context.Context, e Event) {
	level := e.Level()
	to := t.to()
	if !to.Enabled(ctx, level) {
		return
	}
	if level < slog.LevelWarn || t.first(e) {
		writeEvent(ctx, to, e)
	}
}

func (t *thinner) to() *slog.Logger {
	if t.logger == nil {
		return slog.Default()
	}
	return t.logger
}

// first reports whether to write an event, and counts it if not.
func (t *thinner) first(e Event) bool {
	class := eventClass{e.Kind, reasonClass(e.Err)}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.classes[class]
	if r == nil && len(t.classes) >= thinClasses {
		class.reason = ""
		r = t.classes[class]
	}
	if r == nil {
		if t.classes == nil {
			t.classes = make(map[eventClass]*repetition)
		}
		t.classes[class] = &repetition{interval: thinFirst, sessions: []string{e.Session}}
		// It goes on as long as events come, and ends by itself: nobody has to close a
		// logger.
		time.AfterFunc(thinFirst, func() { t.summarize(class) })
		return true
	}
	if r.interval == thinFirst && len(r.sessions) < thinLines && !slices.Contains(r.sessions, e.Session) {
		r.sessions = append(r.sessions, e.Session)
		return true
	}
	r.mixed = r.count > 0 && (r.mixed || r.last.Session != e.Session)
	r.count++
	r.last = e
	return false
}

// summarize writes, at the end of an interval, how often a class came again.
func (t *thinner) summarize(class eventClass) {
	t.mu.Lock()
	r := *t.classes[class]
	if r.count == 0 {
		delete(t.classes, class)
		t.mu.Unlock()
		return
	}
	next := min(2*r.interval, thinLongest)
	t.classes[class] = &repetition{interval: next}
	t.mu.Unlock()
	time.AfterFunc(next, func() { t.summarize(class) })
	if r.mixed {
		r.last.Session = ""
	}
	writeEvent(context.Background(), t.to(), r.last, slog.Int("repeated", r.count), slog.Duration("within", r.interval))
}

// reasonClass returns an error's text without its numbers, which are usually
// ports, sizes and times.
func reasonClass(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	text = text[:min(len(text), thinClassLen)]
	if !strings.ContainsAny(text, "0123456789") {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// writeEvent writes one line.
func writeEvent(ctx context.Context, to *slog.Logger, e Event, more ...slog.Attr) {
	attrs := make([]slog.Attr, 0, 4+len(more))
	for _, a := range [...]struct{ name, value string }{{"session", e.Session}, {"previous", e.Previous}, {"user", e.User}} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	to.LogAttrs(ctx, e.Level(), "session "+e.Kind.String(), append(attrs, more...)...)
}

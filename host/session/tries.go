package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// maxTries bounds how often an operation is tried again because others changed the
	// session in between. Each failed try means that another one succeeded, so only a
	// storage that lies, or very many writers at once, reach it.
	maxTries = 256

	// triesWithin bounds the time for tries if Settings.StoreTimeout does not.
	triesWithin = 5 * time.Second
)

// tries counts the tries of one operation of a request, or of a caller of the
// manager. All its loops share them: a list is changed within a commit, which may
// itself have to be made again, and numbers of tries would multiply.
type tries struct {
	users  int32 // loops under way that share them
	failed int32
	since  *time.Time // when the first one failed; until then nobody asks the time
}

// begin and end enclose whatever may have to be tried again.
func (t *tries) begin() { t.users++ }

func (t *tries) end() {
	if t.users--; t.users == 0 {
		*t = tries{}
	}
}

// triesOf returns the tries that belong to a context: those of its session, or
// new ones.
func triesOf(ctx context.Context) *tries {
	switch c := ctx.(type) {
	case *loadingContext:
		return &c.tries
	case *savingContext:
		return &c.tries
	}
	return new(tries)
}

// again waits after a try that met another's change, so that many writers of one
// session do not hinder each other for ever. It returns ErrConflict after too
// many tries.
func (m *Manager) again(t *tries, what string) error {
	t.failed++
	if t.failed == 1 {
		now := time.Now()
		t.since = &now
		return nil
	}
	within := m.settings.StoreTimeout / 2
	if within == 0 {
		within = triesWithin
	}
	if took := time.Since(*t.since); t.failed >= maxTries || took >= within {
		return fmt.Errorf("%w: %d tries in %v to %s; either very many change it at once, or the storage calls everything a conflict",
			ErrConflict, t.failed, took.Round(time.Millisecond), what)
	}
	if t.failed > 3 {
		time.Sleep(time.Duration(rand.Int64N(int64(50*time.Microsecond) << min(t.failed-4, 7))))
	}
	return nil
}

package tenant

import (
	"context"
	"errors"
	"iter"
	"math"
	"sync"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// recorder notes which keys are written while records are copied from one plugin to
// another, and when what is under them expires. Operations on one key run one after the
// other meanwhile, so that the last note is the one that holds.
type recorder struct {
	turns [256]chan struct{}

	mu       sync.Mutex
	written  map[string]store.Millis
	complete bool // everything must be copied again
}

// deleted is noted in place of an expiry for a record that was deleted.
const deleted store.Millis = math.MinInt64

func newRecorder() *recorder {
	r := &recorder{written: make(map[string]store.Millis)}
	for i := range r.turns {
		r.turns[i] = make(chan struct{}, 1)
	}
	return r
}

// write runs an operation on a key and notes it.
func (r *recorder) write(ctx context.Context, key []byte, expires store.Millis, f func() error) error {
	var turn chan struct{}
	if len(key) > 0 {
		turn = r.turns[key[len(key)-1]]
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-turn }()
	}
	err := f()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.written[string(key)] = expires
	case !hadNoEffect(err):
		// Its expiry, if it was stored, is not known: only a snapshot tells.
		r.written[string(key)], r.complete = expires, true
	}
	return err
}

// hadNoEffect reports whether a write that failed has changed nothing for sure.
func hadNoEffect(err error) bool {
	var e *plugin.Error
	if errors.As(err, &e) && e.Kind != nil {
		return errors.Is(err, plugin.ErrBackoff) || errors.Is(err, plugin.ErrRate)
	}
	for _, known := range []error{store.ErrNotFound, store.ErrConflict, store.ErrInvalid, store.ErrTooLarge, store.ErrNoSpace, store.ErrUnsupported} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// all notes that any record may have changed.
func (r *recorder) all() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complete = true
}

// take returns what was noted since the last take. The order to copy everything stays
// until the end, since only the last copy can follow it.
func (r *recorder) take() (written map[string]store.Millis, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	written, r.written = r.written, make(map[string]store.Millis)
	return written, r.complete
}

const (
	// mostRounds is how often what was written meanwhile is copied while writes go on,
	// and fewWritten when it is worth no further round.
	mostRounds = 4
	fewWritten = 64
)

// mover copies the records of one plugin to another.
type mover struct {
	from, to *plugin.Plugin
	recorder *recorder
	// now is not after the time of the last operation: a record that has not expired for
	// it must be copied. One that has expired is copied with its expiry, so it stays so.
	now func() store.Millis
}

// copyAll copies everything while writes go on, and then what was written meanwhile.
func (m *mover) copyAll(ctx context.Context) error {
	if err := m.whole(ctx); err != nil {
		return err
	}
	return m.followUp(ctx)
}

// followUp copies what was written since, until little is left.
func (m *mover) followUp(ctx context.Context) error {
	for range mostRounds {
		written, _ := m.recorder.take()
		if err := m.some(ctx, written); err != nil {
			return err
		}
		if len(written) < fewWritten {
			break
		}
	}
	return nil
}

// finish copies the rest. Nothing is written meanwhile.
func (m *mover) finish(ctx context.Context) error {
	written, complete := m.recorder.take()
	if !complete {
		return m.some(ctx, written)
	}
	if err := m.to.Clear(ctx, m.now()); err != nil {
		return err
	}
	return m.whole(ctx)
}

func (m *mover) whole(ctx context.Context) error {
	return m.to.Restore(ctx, m.from.Snapshot(ctx, m.now()), m.now())
}

// some copies the records under some keys.
func (m *mover) some(ctx context.Context, written map[string]store.Millis) error {
	var gone []string
	records := func(yield func(store.Record, error) bool) {
		for key, expires := range written {
			if expires == deleted {
				gone = append(gone, key)
				continue
			}
			value, err := m.from.Get(ctx, []byte(key), m.now())
			if errors.Is(err, store.ErrNotFound) {
				gone = append(gone, key)
				continue
			}
			if !yield(store.Record{Key: []byte(key), Value: value, Expires: expires}, err) || err != nil {
				return
			}
		}
	}
	if err := m.to.Restore(ctx, iter.Seq2[store.Record, error](records), m.now()); err != nil {
		return err
	}
	for _, key := range gone {
		if err := m.to.Delete(ctx, []byte(key), m.now()); err != nil {
			return err
		}
	}
	return nil
}

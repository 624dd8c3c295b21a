package migration

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// Plan says what to move. From and To must be able to enumerate their records.
type Plan struct {
	From, To  store.Store
	Converter *session.Converter

	// Resume says that To may have records of an earlier run. Records there that From does
	// not have are then removed: a session that ended since must not come back.
	Resume bool

	// Start is called before the first record is written, when To is known to have none of
	// its own, unless Resume is set. Its error ends the run. nil for nothing.
	Start func() error

	// Skip leaves out records that cannot be converted. Without it they are an error at
	// the end, and everything else is moved.
	Skip bool

	// Workers is how many records are written at once, default 8.
	Workers int

	// Clock decides which records have expired, default the system's. Records that expire
	// during the migration are moved, unless the target drops them first.
	Clock func() store.Millis

	// Begin is called when a part begins, with the number of its records, and Did when some
	// of them were done.
	Begin func(what string, total int64)
	Did   func(n int64)
}

// Result counts what was done.
type Result struct {
	Found    int64 `json:"found"`    // records at the source
	Written  int64 `json:"written"`  // to the target
	Kept     int64 `json:"kept"`     // were there already, as they should be
	Removed  int64 `json:"removed"`  // from the target, since the source does not have them any more
	Again    int64 `json:"again"`    // written a second time: they were changed at the source meanwhile
	Verified int64 `json:"verified"` // read back and compared
	Skipped  int64 `json:"skipped"`  // cannot be converted

	// Refused are the first of those that cannot be converted.
	Refused []Refusal `json:"refused,omitempty"`
}

// Refusal is a record that cannot be converted.
type Refusal struct {
	Handle string `json:"handle"` // of the session, as lists of sessions have it
	Error  string `json:"error"`
}

// maxRefused bounds how many refusals are named.
const maxRefused = 20

// Errors of Run besides those of the stores.
var (
	// ErrNotEmpty is returned when the target has records of its own.
	ErrNotEmpty = errors.New("the target is not empty")

	// ErrRefused is returned when some records cannot be converted. All others were moved.
	ErrRefused = errors.New("records cannot be converted")

	// ErrDiffers is returned when a record that was read back is not what was written.
	ErrDiffers = errors.New("the target does not have what was written to it")
)

// run is a migration at work.
type run struct {
	Plan
	now     store.Millis // when the move began: by it, nothing expires meanwhile
	mu      sync.Mutex
	result  Result
	refused map[uint64]bool // records that are among Result.Skipped
}

func (p Plan) begin() *run {
	if p.Workers == 0 {
		p.Workers = 8
	}
	if p.Clock == nil {
		p.Clock = func() store.Millis { return store.At(time.Now()) }
	}
	if p.Begin == nil {
		p.Begin = func(string, int64) {}
	}
	if p.Did == nil {
		p.Did = func(int64) {}
	}
	return &run{Plan: p, now: p.Clock(), refused: make(map[uint64]bool)}
}

// Run moves the records, and returns what it did also with an error. It changes nothing
// at the source. It may be run again after any error.
func Run(ctx context.Context, p Plan) (Result, error) {
	r := p.begin()
	err := r.all(ctx)
	return r.result, err
}

func (r *run) all(ctx context.Context) error {
	if !r.Resume {
		for _, err := range store.Keys(ctx, r.To, r.now) {
			if err != nil {
				return fmt.Errorf("reading the target: %w", err)
			}
			return ErrNotEmpty
		}
	}
	if r.Start != nil {
		if err := r.Start(); err != nil {
			return err
		}
	}
	if err := r.copy(ctx); err != nil {
		return err
	}
	if err := r.verify(ctx); err != nil {
		return err
	}
	if r.result.Skipped > 0 && !r.Skip {
		return fmt.Errorf("%w: %d of %d", ErrRefused, r.result.Skipped, r.result.Found)
	}
	return nil
}

// Try converts every record and writes nothing. To may be nil.
func Try(ctx context.Context, p Plan) (Result, error) {
	r := p.begin()
	err := r.count(ctx, "reading")
	if err != nil {
		return r.result, err
	}
	err = r.each(ctx, r.From, func(_ context.Context, record store.Record) error {
		if _, err := r.Converter.Convert(record.Key, record.Value); err != nil {
			return r.refuse(record.Key, err)
		}
		return nil
	})
	if err == nil && r.result.Skipped > 0 && !r.Skip {
		err = fmt.Errorf("%w: %d of %d", ErrRefused, r.result.Skipped, r.result.Found)
	}
	return r.result, err
}

func (r *run) count(ctx context.Context, what string) error {
	r.result.Found = 0
	for _, err := range store.Keys(ctx, r.From, r.now) {
		if err != nil {
			return fmt.Errorf("reading the source: %w", err)
		}
		r.result.Found++
	}
	r.Begin(what, r.result.Found)
	return nil
}

// copy writes what the target does not have yet.
func (r *run) copy(ctx context.Context) error {
	if err := r.count(ctx, "moving"); err != nil {
		return err
	}
	err := r.each(ctx, r.From, func(ctx context.Context, record store.Record) error {
		if r.Resume {
			if there, err := r.To.Get(ctx, record.Key, r.now); err == nil && r.Converter.Verify(record.Key, record.Value, there) == nil {
				r.add(&r.result.Kept)
				return nil
			}
		}
		written, err := r.write(ctx, record)
		if written {
			r.add(&r.result.Written)
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.save(ctx)
}

// write writes one record. It reports false for one that cannot be converted.
func (r *run) write(ctx context.Context, record store.Record) (bool, error) {
	value, err := r.Converter.Convert(record.Key, record.Value)
	if err != nil {
		return false, r.refuse(record.Key, err)
	}
	err = r.To.Set(ctx, store.Write{Key: record.Key, Value: value, Expires: record.Expires, Now: r.now, Expect: store.Any})
	switch {
	case errors.Is(err, store.ErrTooLarge):
		return false, r.refuse(record.Key, err)
	case err != nil:
		return false, fmt.Errorf("writing to the target: %w", err)
	}
	return true, nil
}

func (r *run) save(ctx context.Context) error {
	if err := store.Save(ctx, r.To, r.now); err != nil && !errors.Is(err, store.ErrUnsupported) {
		return fmt.Errorf("saving the target: %w", err)
	}
	return nil
}

// verify compares both stores, record by record, and mends what was changed at the
// source meanwhile.
func (r *run) verify(ctx context.Context) error {
	expiries, err := r.prune(ctx)
	if err != nil {
		return err
	}
	r.Begin("verifying", r.result.Found)
	again := r.result.Again
	err = r.each(ctx, r.From, func(ctx context.Context, record store.Record) error {
		refused, err := r.check(ctx, record, expiries)
		if err != nil {
			written, failed := r.write(ctx, record)
			if failed != nil {
				return failed
			}
			if !written {
				return nil
			}
			if refused, err = r.check(ctx, record, nil); err != nil {
				return fmt.Errorf("%w: the session %s: %w", ErrDiffers, session.HandleOf(record.Key), err)
			}
			r.add(&r.result.Again)
		}
		if !refused {
			r.add(&r.result.Verified)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if r.result.Again > again {
		return r.save(ctx)
	}
	return nil
}

// check compares one record with what the target has. Expiries are those of the target,
// nil if they were not read since. It reports true for a record that cannot be converted and
// is not there.
func (r *run) check(ctx context.Context, record store.Record, expiries map[uint64]store.Millis) (refused bool, err error) {
	there, err := r.To.Get(ctx, record.Key, r.now)
	switch {
	case errors.Is(err, store.ErrNotFound) && r.isRefused(record):
		return true, nil
	case errors.Is(err, store.ErrNotFound) && record.Expires != 0 && record.Expires <= r.Clock():
		return false, nil // it expired just now
	case err != nil:
		return false, err
	}
	if err := r.Converter.Verify(record.Key, record.Value, there); err != nil {
		return false, err
	}
	if expires, known := expiries[hash(record.Key)]; known && expires != record.Expires {
		return false, fmt.Errorf("it expires at %d: must be at %d", expires, record.Expires)
	}
	return false, nil
}

func (r *run) isRefused(record store.Record) bool {
	r.mu.Lock()
	none := r.result.Skipped == 0
	r.mu.Unlock()
	if none {
		return false
	}
	_, err := r.Converter.Convert(record.Key, record.Value)
	return err != nil
}

// prune removes from the target what the source does not have any more, and returns when
// the records there expire.
func (r *run) prune(ctx context.Context) (map[uint64]store.Millis, error) {
	expiries := make(map[uint64]store.Millis, r.result.Found)
	var gone [][]byte
	for record, err := range store.Snapshot(ctx, r.To, r.now) {
		if err != nil {
			return nil, fmt.Errorf("reading the target: %w", err)
		}
		expiries[hash(record.Key)] = record.Expires
		_, err := r.From.Get(ctx, record.Key, r.now)
		if errors.Is(err, store.ErrNotFound) {
			gone = append(gone, append([]byte(nil), record.Key...))
		} else if err != nil && !errors.Is(err, store.ErrCorrupt) {
			return nil, fmt.Errorf("reading the source: %w", err)
		}
	}
	for _, key := range gone {
		if err := r.To.Delete(ctx, key, r.now); err != nil {
			return nil, fmt.Errorf("removing from the target what the source has no more: %w", err)
		}
		r.result.Removed++
	}
	return expiries, nil
}

// each calls a function for each record, for several at once. The first error ends it.
func (r *run) each(ctx context.Context, of store.Store, do func(context.Context, store.Record) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	records := make(chan store.Record)
	var workers sync.WaitGroup
	for range r.Workers {
		workers.Go(func() {
			for record := range records {
				if ctx.Err() != nil {
					continue
				}
				if err := do(ctx, record); err != nil {
					stop(err)
					continue
				}
				r.Did(1)
			}
		})
	}
	for record, err := range store.Snapshot(ctx, of, r.now) {
		if err != nil {
			stop(fmt.Errorf("reading the source: %w", err))
			break
		}
		// The memory of a record is the store's until the next one.
		record.Key, record.Value = append([]byte(nil), record.Key...), append([]byte(nil), record.Value...)
		records <- record
		if ctx.Err() != nil {
			break
		}
	}
	close(records)
	workers.Wait()
	return context.Cause(ctx)
}

func (r *run) add(n *int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
}

// refuse counts a record that cannot be converted. It returns other errors.
func (r *run) refuse(key []byte, err error) error {
	if !errors.Is(err, session.ErrNotConvertible) && !errors.Is(err, session.ErrDecode) && !errors.Is(err, store.ErrTooLarge) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused[hash(key)] {
		return nil // it was met before: all are looked at twice
	}
	r.refused[hash(key)] = true
	r.result.Skipped++
	if len(r.result.Refused) < maxRefused {
		r.result.Refused = append(r.result.Refused, Refusal{session.HandleOf(key), err.Error()})
	}
	return nil
}

var seed = maphash.MakeSeed()

func hash(key []byte) uint64 { return maphash.Bytes(seed, key) }

//go:build !wasip1

package guesttest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

const (
	defaultMemory = 512 << 20 // for all shards, as a host's
	pageSize      = 64 << 10
)

// engines is a store of engines.
type engines struct {
	name             string
	maxKey, maxValue int
	shards           []*shard
	last             atomic.Int64 // the time that it was told last, 0 for none
}

var (
	_ store.Store       = (*engines)(nil)
	_ store.Toucher     = (*engines)(nil)
	_ store.Clearer     = (*engines)(nil)
	_ store.Saver       = (*engines)(nil)
	_ store.Sweeper     = (*engines)(nil)
	_ store.Lister      = (*engines)(nil)
	_ store.Snapshotter = (*engines)(nil)
	_ store.Restorer    = (*engines)(nil)
	_ store.Closer      = (*engines)(nil)
)

func open(ctx context.Context, engine func(dir string) guest.Engine, info guest.Info, settings map[string]string,
	setup storetest.Setup, log *testLog,
) (store.Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	shards := cmp.Or(setup.Shards, 1)
	if shards < 0 || bits.OnesCount(uint(shards)) != 1 {
		return nil, fmt.Errorf("%w: %d shards, and there should be a power of two", store.ErrInvalid, shards)
	}
	limit := min(cmp.Or(setup.MemoryLimit, defaultMemory)/int64(shards), abi.MaxMemory) / pageSize * pageSize
	e := &engines{name: info.Name, maxKey: cmp.Or(info.MaxKey, abi.MaxKey), maxValue: cmp.Or(info.MaxValue, abi.MaxValue)}
	for i := range shards {
		all := map[string]string{
			abi.ConfigShard:       strconv.Itoa(i),
			abi.ConfigShards:      strconv.Itoa(shards),
			abi.ConfigMemoryLimit: strconv.FormatInt(limit, 10),
		}
		for name, value := range settings {
			if _, ok := all[name]; ok {
				return nil, fmt.Errorf("%w: the setting %q is set by the host and not by Settings", store.ErrInvalid, name)
			}
			all[name] = value
		}
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			pairs = append(pairs, name, all[name])
		}
		one := engine(setup.Dir)
		s := &shard{name: info.Name, index: i, cas: info.CAS, engine: one, harness: guest.NewHarness(one, info), log: log}
		err := s.answer("open", s.harness.Open(pairs...))
		s.say()
		if err != nil {
			for _, s := range e.shards {
				s.letGo()
			}
			return nil, err
		}
		e.shards = append(e.shards, s)
	}
	return e, nil
}

func (e *engines) shardOf(key []byte) *shard { return e.shards[abi.ShardOf(key, len(e.shards))] }

// told notes the time, for the save before closing: there is no clock here.
func (e *engines) told(now store.Millis) { e.last.Store(int64(now)) }

func (e *engines) checkKey(key []byte) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	if len(key) > e.maxKey {
		return fmt.Errorf("%w: a key of %d bytes, and the engine %s takes %d", store.ErrTooLarge, len(key), e.name, e.maxKey)
	}
	return nil
}

func (e *engines) checkWrite(w store.Write) error {
	if err := store.CheckWrite(w); err != nil {
		return err
	}
	if len(w.Value) > e.maxValue {
		return fmt.Errorf("%w: a value of %d bytes, and the engine %s takes %d", store.ErrTooLarge, len(w.Value), e.name, e.maxValue)
	}
	return e.checkKey(w.Key)
}

// Get implements store.Store.
func (e *engines) Get(ctx context.Context, key []byte, now store.Millis) (value []byte, err error) {
	if err := e.checkKey(key); err != nil {
		return nil, err
	}
	err = e.one(ctx, e.shardOf(key), now, func(s *shard) error {
		value, err = s.get(key, now)
		value = append(make([]byte, 0, len(value)), value...)
		return s.answer("get", err)
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}

// Set implements store.Store.
func (e *engines) Set(ctx context.Context, w store.Write) error {
	if err := e.checkWrite(w); err != nil {
		return err
	}
	return e.one(ctx, e.shardOf(w.Key), w.Now, func(s *shard) error { return s.answer("set", s.set(w)) })
}

// Touch implements store.Toucher.
func (e *engines) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	if err := e.checkKey(key); err != nil {
		return err
	}
	return e.one(ctx, e.shardOf(key), now, func(s *shard) error { return s.answer("touch", s.touch(key, expires, now)) })
}

// Delete implements store.Store.
func (e *engines) Delete(ctx context.Context, key []byte, now store.Millis) error {
	if err := e.checkKey(key); err != nil {
		return err
	}
	return e.one(ctx, e.shardOf(key), now, func(s *shard) error { return s.answer("delete", s.harness.Delete(key, int64(now))) })
}

// Clear implements store.Clearer.
func (e *engines) Clear(ctx context.Context, now store.Millis) error {
	return e.each(ctx, now, func(s *shard) error { return s.answer("clear", s.harness.Clear(int64(now))) })
}

// Save implements store.Saver.
func (e *engines) Save(ctx context.Context, now store.Millis) error {
	return e.each(ctx, now, func(s *shard) error {
		if err := s.flush(now); err != nil {
			return err
		}
		return s.answer("save", s.harness.Save(int64(now)))
	})
}

// Sweep implements store.Sweeper. Each shard looks at its part of max records.
func (e *engines) Sweep(ctx context.Context, max int, now store.Millis) (removed int, err error) {
	if max <= 0 {
		return 0, ctx.Err()
	}
	part := (max + len(e.shards) - 1) / len(e.shards)
	err = e.each(ctx, now, func(s *shard) error {
		n, err := s.harness.Sweep(part, int64(now))
		if err == nil {
			removed += min(n, part) // as a host does: it cannot be more
		}
		return s.answer("sweep", err)
	})
	return removed, err
}

// one runs an operation in one shard.
func (e *engines) one(ctx context.Context, s *shard, now store.Millis, f func(*shard) error) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	e.told(now)
	defer s.say()
	return f(s)
}

// each runs an operation in every shard, also if one fails; the errors are
// joined.
func (e *engines) each(ctx context.Context, now store.Millis, f func(*shard) error) error {
	var errs []error
	for _, s := range e.shards {
		err := e.one(ctx, s, now, f)
		if len(errs) == 0 && err != nil && (err == store.ErrClosed || err == ctx.Err()) {
			return err
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Keys implements store.Lister. No lock is held while the caller has a key.
func (e *engines) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, s := range e.shards {
			for keys, err := range chunks(e, ctx, s, now, func(s *shard, cursor int64) ([][]byte, int64, error) { return s.keys(cursor, now) }) {
				if err != nil {
					yield(nil, err)
					return
				}
				for _, key := range keys {
					if !yield(key, nil) {
						return
					}
				}
			}
		}
	}
}

// Snapshot implements store.Snapshotter. No lock is held while the caller has a
// record.
func (e *engines) Snapshot(ctx context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, s := range e.shards {
			for records, err := range chunks(e, ctx, s, now, func(s *shard, cursor int64) ([]store.Record, int64, error) { return s.snapshot(cursor, now) }) {
				if err != nil {
					yield(store.Record{}, err)
					return
				}
				for _, r := range records {
					if !yield(r, nil) {
						return
					}
				}
			}
		}
	}
}

// chunks enumerates one shard.
func chunks[T any](e *engines, ctx context.Context, s *shard, now store.Millis, next func(*shard, int64) ([]T, int64, error)) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		seen := make(map[int64]bool)
		for cursor := int64(0); ; {
			var list []T
			err := e.one(ctx, s, now, func(s *shard) (err error) {
				list, cursor, err = next(s, cursor)
				if err == nil && seen[cursor] {
					err = s.broken("the cursor %d comes again: the enumeration would not end", cursor)
				}
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(list, nil) || cursor == 0 {
				return
			}
			seen[cursor] = true
		}
	}
}

// restoreBatch is how many bytes of records are restored with one call, as by a
// host.
const restoreBatch = 256 << 10

// Restore implements store.Restorer.
func (e *engines) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	batches := make([][]byte, len(e.shards))
	flush := func(i int) error {
		if len(batches[i]) == 0 {
			return nil
		}
		err := e.one(ctx, e.shards[i], now, func(s *shard) error { return s.answer("restore", s.restore(batches[i], now)) })
		batches[i] = batches[i][:0]
		return err
	}
	for r, err := range records {
		if err != nil {
			return err
		}
		if err := e.checkWrite(store.Write{Key: r.Key, Value: r.Value}); err != nil {
			return err
		}
		i := abi.ShardOf(r.Key, len(e.shards))
		if len(batches[i])+len(r.Key)+len(r.Value) > restoreBatch {
			if err := flush(i); err != nil {
				return err
			}
		}
		batches[i] = abi.AppendRecord(batches[i], r.Key, r.Value, int64(r.Expires))
	}
	var errs []error
	for i := range batches {
		errs = append(errs, flush(i))
	}
	return errors.Join(errs...)
}

// Close implements store.Closer. It saves at the time that the last operation was
// told.
func (e *engines) Close(context.Context) error {
	var errs []error
	for _, s := range e.shards {
		errs = append(errs, s.close(cmp.Or(store.Millis(e.last.Load()), storetest.Now)))
	}
	return errors.Join(errs...)
}

package protocol

import (
	"context"
	"errors"
	"iter"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// restoreBatch is how many bytes of records one call restores.
const restoreBatch = 256 << 10

// Keys implements [store.Lister]. The keys belong to the caller. Keys holds no lock
// while the caller handles one. It fails with [store.ErrUnsupported] if the guest
// cannot enumerate, with [store.ErrUnavailable] if a shard's instance is replaced
// before the shard is done, and with [ErrEndless] if the guest returns more than it
// has room for.
func (st *Store) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		extents := st.extents()
		shards, err := st.parts(ctx)
		if err == nil {
			err = st.allowed(opKeys)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		for _, s := range shards {
			for chunk, err := range s.chunks(ctx, extents.shard(), opKeys, now) {
				if err != nil {
					yield(nil, err)
					return
				}
				for key, rest, ok := abi.NextKey(chunk); ok; key, rest, ok = abi.NextKey(rest) {
					if !yield(key, nil) {
						return
					}
				}
			}
		}
	}
}

// Snapshot implements [store.Snapshotter], with the same promises as Keys.
func (st *Store) Snapshot(ctx context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		extents := st.extents()
		shards, err := st.parts(ctx)
		if err == nil {
			err = st.allowed(opSnapshot)
		}
		if err != nil {
			yield(store.Record{}, err)
			return
		}
		for _, s := range shards {
			for chunk, err := range s.chunks(ctx, extents.shard(), opSnapshot, now) {
				if err != nil {
					yield(store.Record{}, err)
					return
				}
				for {
					key, value, expires, rest, ok := abi.NextRecord(chunk)
					if !ok {
						break
					}
					if !yield(store.Record{Key: key, Value: value, Expires: store.Millis(expires)}, nil) {
						return
					}
					chunk = rest
				}
			}
		}
	}
}

// chunks enumerates one shard. Each chunk is a copy and well formed.
func (s *shard) chunks(ctx context.Context, x *extent, op opKind, now store.Millis) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var instance uint64
		for cursor := int64(0); ; {
			next, chunk, err := s.chunk(ctx, x, op, cursor, now, &instance)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(chunk, nil) || next == 0 {
				return
			}
			cursor = next
		}
	}
}

// chunk makes one step, in the instance that the first step recorded.
func (s *shard) chunk(ctx context.Context, x *extent, op opKind, cursor int64, now store.Millis, instance *uint64) (next int64, chunk []byte, err error) {
	inst, err := s.lock(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer s.unlock()
	if *instance != 0 && *instance != s.instances {
		return 0, nil, s.newError(op.String(), &Answer{Code: abi.Unavailable, Message: "the instance was replaced during the enumeration"})
	}
	*instance = s.instances
	next, list, err := s.step(x, inst, op, cursor, now)
	if err != nil {
		return 0, nil, err
	}
	return next, append([]byte(nil), list...), nil
}

// chunk makes one step of an enumeration. The list lies in the guest's memory.
func (r *runner) chunk(op opKind, cursor int64, now store.Millis) (next int64, list []byte, err error) {
	enumerate, check := r.Keys, checkKeys
	if op == opSnapshot {
		enumerate, check = r.Snapshot, checkRecords
	}
	if next, list, err = enumerate(cursor, now); err != nil {
		return 0, nil, err
	}
	if next < 0 {
		return 0, nil, Broken("the cursor is %d: must not be negative", next)
	}
	return next, list, check(list)
}

func checkKeys(list []byte) error {
	for {
		key, rest, ok := abi.NextKey(list)
		switch {
		case !ok && len(rest) == 0:
			return nil
		case !ok:
			return Broken("a chunk ends in %d bytes that are not a key", len(rest))
		case len(key) == 0 || len(key) > abi.MaxKey:
			return Broken("a chunk has a key of %d bytes: must be 1 to %d", len(key), abi.MaxKey)
		}
		list = rest
	}
}

func checkRecords(list []byte) error {
	for {
		key, value, _, rest, ok := abi.NextRecord(list)
		switch {
		case !ok && len(rest) == 0:
			return nil
		case !ok:
			return Broken("a chunk ends in %d bytes that are not a record", len(rest))
		case len(key) == 0 || len(key) > abi.MaxKey || len(value) > abi.MaxValue:
			return Broken("a chunk has a key of %d bytes and a value of %d: must be 1 to %d and at most %d",
				len(key), len(value), abi.MaxKey, abi.MaxValue)
		}
		list = rest
	}
}

// Restore implements [store.Restorer]. It passes records to the guest in batches if
// the guest exports session_restore, and otherwise one by one.
func (st *Store) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	batches := make([][]byte, len(st.shards))
	flush := func(i int) error {
		if len(batches[i]) == 0 {
			return nil
		}
		err := st.restore(ctx, i, batches[i], now)
		batches[i] = batches[i][:0]
		return err
	}
	for r, err := range records {
		if err != nil {
			return err
		}
		if _, err := st.checkWrite(ctx, opRestore, r.Key, r.Value); err != nil {
			return err
		}
		i := 0
		if !st.remote() {
			i = abi.ShardOf(r.Key, len(st.shards))
		}
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
	if st.config.SaveEach {
		errs = append(errs, st.Save(ctx, now))
	}
	return errors.Join(errs...)
}

func (st *Store) restore(ctx context.Context, part int, list []byte, now store.Millis) error {
	restore := func(_ *shard, inst *runner) error { return inst.restore(list, now, false) }
	var err error
	if st.remote() {
		_, _, err = st.writeAnywhere(ctx, opRestore, restore)
	} else {
		_, err = st.shards[part].write(ctx, opRestore, restore)
	}
	return err
}

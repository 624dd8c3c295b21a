package plugin

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

const (
	// maxChunk is the largest chunk of an enumeration. It is above what the
	// contract says by the room that the largest record needs.
	maxChunk = abi.MaxValue + pageSize
	// restoreBatch is how many bytes of records are restored with one call.
	restoreBatch = 256 << 10
)

// Keys implements [store.Lister]. The keys are the caller's. No lock is held
// while the caller has one. It fails with [store.ErrUnsupported] if the guest
// cannot enumerate, with [store.ErrUnavailable] if a shard's instance is
// replaced before the shard is done, and with [ErrEndless] if it gives more than
// the guest has room for.
func (p *Plugin) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		extents := p.extents()
		for _, s := range p.shards {
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
func (p *Plugin) Snapshot(ctx context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		extents := p.extents()
		for _, s := range p.shards {
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
		var generation uint64
		for cursor := int64(0); ; {
			in, err := s.lock(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			var chunk []byte
			var next int64
			if generation != 0 && generation != s.generation {
				err = &Error{Plugin: s.plugin.config.Name, Op: op.String(), Shard: s.index, Code: abi.Unavailable,
					Message: "the instance was replaced during the enumeration"}
			} else {
				generation = s.generation
				var list []byte
				if next, list, err = s.step(x, in, op, cursor, now); err == nil {
					chunk = append([]byte(nil), list...)
				}
			}
			s.unlock()
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

// chunk makes one step of an enumeration. The list lies in the guest's memory.
func (in *instance) chunk(op opKind, cursor int64, now store.Millis) (next int64, list []byte, err error) {
	f := in.keys
	if op == opSnapshot {
		f = in.snapshot
	}
	if f == nil {
		return 0, nil, &answer{code: abi.Unsupported, message: "the guest does not export it"}
	}
	in.stack[0], in.stack[1] = uint64(cursor), uint64(now)
	if err := in.run(f, in.plugin.callLimit()); err != nil {
		return 0, nil, err
	}
	b, err := in.result(maxChunk)
	if err != nil {
		return 0, nil, err
	}
	next, list, ok := abi.CutCursor(b)
	if !ok {
		return 0, nil, in.badResult("a chunk of %d bytes, and it should begin with a cursor of 8", len(b))
	}
	if next < 0 {
		return 0, nil, in.badResult("the cursor %d, and it should not be negative", next)
	}
	if op == opKeys {
		err = in.checkKeys(list)
	} else {
		err = in.checkRecords(list)
	}
	return next, list, err
}

func (in *instance) checkKeys(list []byte) error {
	for {
		key, rest, ok := abi.NextKey(list)
		switch {
		case !ok && len(rest) == 0:
			return nil
		case !ok:
			return in.badResult("a chunk that ends in %d bytes that are not a key", len(rest))
		case len(key) == 0 || len(key) > abi.MaxKey:
			return in.badResult("a chunk with a key of %d bytes, and a key has 1 to %d", len(key), abi.MaxKey)
		}
		list = rest
	}
}

func (in *instance) checkRecords(list []byte) error {
	for {
		key, value, _, rest, ok := abi.NextRecord(list)
		switch {
		case !ok && len(rest) == 0:
			return nil
		case !ok:
			return in.badResult("a chunk that ends in %d bytes that are not a record", len(rest))
		case len(key) == 0 || len(key) > abi.MaxKey || len(value) > abi.MaxValue:
			return in.badResult("a chunk with a key of %d and a value of %d bytes, and they have 1 to %d and up to %d",
				len(key), len(value), abi.MaxKey, abi.MaxValue)
		}
		list = rest
	}
}

// Restore implements [store.Restorer]. Records go to the guest in batches if
// it exports session_restore, else one by one.
func (p *Plugin) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	batches := make([][]byte, len(p.shards))
	flush := func(i int) error {
		if len(batches[i]) == 0 {
			return nil
		}
		err := p.shards[i].restore(ctx, batches[i], now)
		batches[i] = batches[i][:0]
		return err
	}
	for r, err := range records {
		if err != nil {
			return err
		}
		if err := p.checkWrite(store.Write{Key: r.Key, Value: r.Value}); err != nil {
			return err
		}
		i := abi.ShardOf(r.Key, len(p.shards))
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
	if p.config.Durability == DurabilityCommit {
		errs = append(errs, p.Save(ctx, now))
	}
	return errors.Join(errs...)
}

func (s *shard) restore(ctx context.Context, list []byte, now store.Millis) error {
	in, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer s.unlock()
	if err := s.plugin.mounts.present(); err != nil {
		return s.done(opRestore, in, err)
	}
	s.wrote()
	return s.done(opRestore, in, in.doRestore(list, now, in.plugin.callLimit()))
}

func (in *instance) doRestore(list []byte, now store.Millis, limit time.Duration) error {
	if in.restore != nil {
		err := in.callList(in.restore, list, now, limit)
		if a, ok := err.(*answer); ok && a.noBuffer {
			// A guest for small values may have no buffer for a long list.
			first, second := halves(list)
			if len(second) == 0 {
				return err
			}
			if err := in.doRestore(first, now, limit); err != nil {
				return err
			}
			return in.doRestore(second, now, limit)
		}
		if code, _ := codeOf(err); code != abi.Unsupported {
			return err
		}
		in.restore = nil // it answers so always
	}
	for {
		key, value, expires, rest, ok := abi.NextRecord(list)
		if !ok {
			return nil
		}
		if expires == 0 || store.Millis(expires) > now {
			if err := in.doSet(store.Write{Key: key, Value: value, Expires: store.Millis(expires), Now: now}); err != nil {
				return err
			}
		}
		list = rest
	}
}

// halves divides a list of records into two of about the same size; the second is
// empty if there is but one record.
func halves(list []byte) (first, second []byte) {
	for rest := list; ; {
		_, _, _, after, ok := abi.NextRecord(rest)
		if !ok || len(after) == 0 {
			// The last record is half of it all, or more.
			at := len(list) - len(rest)
			if at == 0 {
				return list, nil
			}
			return list[:at], rest
		}
		if rest = after; len(rest) <= len(list)/2 {
			return list[:len(list)-len(rest)], rest
		}
	}
}

// callList passes a list through the exchange buffer.
func (in *instance) callList(f api.Function, list []byte, now store.Millis, limit time.Duration) error {
	if err := in.put(list, nil, limit); err != nil {
		return err
	}
	in.stack[0], in.stack[1], in.stack[2] = uint64(in.buffer), uint64(len(list)), uint64(now)
	if err := in.run(f, limit); err != nil {
		return err
	}
	_, err := in.number()
	return err
}

package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// opKind numbers the operations for their counters.
type opKind int

const (
	opGet opKind = iota
	opSet
	opTouch
	opDelete
	opClear
	opSave
	opSweep
	opFlush
	opKeys
	opSnapshot
	opRestore
	numOps
)

var opNames = [numOps]string{"get", "set", "touch", "delete", "clear", "save", "sweep", "flush", "keys", "snapshot", "restore"}

func (o opKind) String() string { return opNames[o] }

var (
	_ store.Store       = (*Plugin)(nil)
	_ store.Bounded     = (*Plugin)(nil)
	_ store.Toucher     = (*Plugin)(nil)
	_ store.Clearer     = (*Plugin)(nil)
	_ store.Saver       = (*Plugin)(nil)
	_ store.Sweeper     = (*Plugin)(nil)
	_ store.Lister      = (*Plugin)(nil)
	_ store.Snapshotter = (*Plugin)(nil)
	_ store.Restorer    = (*Plugin)(nil)
	_ store.Closer      = (*Plugin)(nil)
)

func (p *Plugin) shardOf(key []byte) *shard { return p.shards[abi.ShardOf(key, len(p.shards))] }

func (p *Plugin) checkKey(key []byte) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	if len(key) > p.info.MaxKey {
		return fmt.Errorf("%w: a key of %d bytes, and the plugin %s takes %d", store.ErrTooLarge, len(key), p.config.Name, p.info.MaxKey)
	}
	return nil
}

func (p *Plugin) checkWrite(w store.Write) error {
	if err := store.CheckWrite(w); err != nil {
		return err
	}
	if len(w.Value) > p.info.MaxValue {
		return fmt.Errorf("%w: a value of %d bytes, and the plugin %s takes %d", store.ErrTooLarge, len(w.Value), p.config.Name, p.info.MaxValue)
	}
	return p.checkKey(w.Key)
}

// Get implements [store.Store]. It allocates the value that it returns and
// nothing else.
func (p *Plugin) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return p.GetAtMost(ctx, key, now, abi.MaxValue)
}

// GetAtMost implements [store.Bounded]. A value that is too large stays in the
// guest's memory.
func (p *Plugin) GetAtMost(ctx context.Context, key []byte, now store.Millis, most int) ([]byte, error) {
	if err := p.checkKey(key); err != nil {
		return nil, err
	}
	s := p.shardOf(key)
	in, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer s.unlock()
	b, err := in.doGet(key, now)
	if err = s.done(opGet, in, err); err != nil {
		return nil, err
	}
	if err := store.CheckSize(len(b), most); err != nil {
		return nil, err
	}
	value := make([]byte, len(b))
	copy(value, b)
	return value, nil
}

// Set implements [store.Store].
func (p *Plugin) Set(ctx context.Context, w store.Write) error {
	if err := p.checkWrite(w); err != nil {
		return err
	}
	s := p.shardOf(w.Key)
	m, err := s.set(ctx, w)
	if err != nil {
		return err
	}
	return s.settle(m, w.Now)
}

func (s *shard) set(ctx context.Context, w store.Write) (mark, error) {
	s.arrive()
	defer s.leave()
	in, err := s.lock(ctx)
	if err != nil {
		return mark{}, err
	}
	defer s.unlock()
	if err := s.plugin.mounts.present(); err != nil {
		return mark{}, s.done(opSet, in, err)
	}
	return s.wrote(), s.done(opSet, in, in.doSet(w))
}

// Touch implements [store.Toucher]. Of a guest that cannot do it by itself, the
// record is read and written, in one turn of its shard.
func (p *Plugin) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	if err := p.checkKey(key); err != nil {
		return err
	}
	s := p.shardOf(key)
	m, err := s.retime(ctx, key, expires, now)
	if err != nil {
		return err
	}
	return s.settle(m, now)
}

func (s *shard) retime(ctx context.Context, key []byte, expires, now store.Millis) (mark, error) {
	s.arrive()
	defer s.leave()
	in, err := s.lock(ctx)
	if err != nil {
		return mark{}, err
	}
	defer s.unlock()
	if err := s.plugin.mounts.present(); err != nil {
		return mark{}, s.done(opTouch, in, err)
	}
	return s.wrote(), s.done(opTouch, in, s.doTouch(in, key, expires, now))
}

// Delete implements [store.Store].
func (p *Plugin) Delete(ctx context.Context, key []byte, now store.Millis) error {
	if err := p.checkKey(key); err != nil {
		return err
	}
	s := p.shardOf(key)
	m, err := s.remove(ctx, key, now)
	if err != nil {
		return err
	}
	return s.settle(m, now)
}

func (s *shard) remove(ctx context.Context, key []byte, now store.Millis) (mark, error) {
	s.arrive()
	defer s.leave()
	in, err := s.lock(ctx)
	if err != nil {
		return mark{}, err
	}
	defer s.unlock()
	if err := s.plugin.mounts.present(); err != nil {
		return mark{}, s.done(opDelete, in, err)
	}
	return s.wrote(), s.done(opDelete, in, in.doDelete(key, now))
}

// Clear implements [store.Clearer]. Every shard is cleared, also if one fails; the
// errors are joined.
func (p *Plugin) Clear(ctx context.Context, now store.Millis) error {
	err := p.each(ctx, opClear, func(in *instance) error {
		if err := p.mounts.present(); err != nil {
			return err
		}
		p.shards[in.shard].wrote()
		return in.doTime(in.clear, now)
	})
	if err == nil && p.config.Durability == DurabilityCommit {
		err = p.Save(ctx, now)
	}
	return err
}

// Save implements [store.Saver]. Every shard is saved, also if one fails or hangs; the
// errors are joined. The snapshot, if there is one, is written with what the
// shards hold; of one that failed it keeps what it had before. After a leap of the
// host's clock nothing is dropped that has only expired by it.
func (p *Plugin) Save(ctx context.Context, now store.Millis) error {
	now = p.notAfterJudged(now)
	err := p.each(ctx, opSave, func(in *instance) error { return in.doTime(in.save, now) }, func(s *shard) error {
		// In steps as far as it goes. What the guest has to say, it says again when
		// the rest is saved.
		if !p.has(abi.ExportFlush) {
			return nil
		}
		m, err := s.mark(ctx)
		if err == nil {
			_, err = s.flush(ctx, m, now)
		}
		if _, answered := codeFromError(err); answered {
			return nil
		}
		return err
	})
	if p.snapshots == nil || errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, p.snapshots.write(ctx, p, now))
}

// each has every shard do something, all at once: one that hangs keeps neither the
// others from it nor, when the context ends, the caller. What comes before it takes the
// shard's lock by itself.
func (p *Plugin) each(ctx context.Context, op opKind, f func(*instance) error, before ...func(*shard) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	type outcome struct {
		shard int
		err   error
	}
	outcomes := make(chan outcome, len(p.shards))
	for i, s := range p.shards {
		go func() {
			for _, do := range before {
				if err := do(s); err != nil {
					outcomes <- outcome{i, err}
					return
				}
			}
			in, err := s.lock(ctx)
			if err == nil {
				err = s.done(op, in, f(in))
				s.unlock()
			}
			outcomes <- outcome{i, err}
		}()
	}
	errs, ended := make([]error, len(p.shards)), make([]bool, len(p.shards))
	for range p.shards {
		select {
		case o := <-outcomes:
			errs[o.shard], ended[o.shard] = o.err, true
		case <-ctx.Done():
			return errors.Join(append(errs, p.hung(ended, ctx.Err()))...)
		}
	}
	if err := errs[0]; err == store.ErrClosed || err != nil && err == ctx.Err() {
		return err
	}
	return errors.Join(errs...)
}

// The following make one call each; they return answers and faults.

func (in *instance) doGet(key []byte, now store.Millis) ([]byte, error) {
	limit := in.plugin.callLimit()
	if err := in.put(key, nil, limit); err != nil {
		return nil, err
	}
	in.stack[0], in.stack[1], in.stack[2] = uint64(in.buffer), uint64(len(key)), uint64(now)
	if err := in.run(in.get, limit); err != nil {
		return nil, err
	}
	return in.result(abi.MaxValue)
}

func (in *instance) doSet(w store.Write) error {
	expect := w.Expect
	if expect != store.Any && !in.plugin.cas {
		if err := in.compare(w); err != nil {
			return err
		}
		expect = store.Any
	}
	limit := in.plugin.callLimit()
	if err := in.put(w.Key, w.Value, limit); err != nil {
		return err
	}
	in.stack[0], in.stack[1] = uint64(in.buffer), uint64(len(w.Key))
	in.stack[2], in.stack[3] = uint64(in.buffer)+uint64(len(w.Key)), uint64(len(w.Value))
	in.stack[4], in.stack[5], in.stack[6] = uint64(w.Expires), uint64(w.Now), uint64(expect)
	if err := in.run(in.set, limit); err != nil {
		return err
	}
	_, err := in.number()
	return err
}

// compare does for a guest without compare-and-set what it does not do itself.
// The lock of the shard makes one step of it and of the write that follows.
func (in *instance) compare(w store.Write) error {
	value, err := in.doGet(w.Key, w.Now)
	switch {
	case err == errNotFound && w.Expect == store.Absent:
		return nil
	case err == errNotFound:
		return errConflict
	case err != nil:
		return err
	case w.Expect == store.Absent || abi.Revision(value) != uint64(w.Expect):
		return errConflict
	}
	return nil
}

func (s *shard) doTouch(in *instance, key []byte, expires, now store.Millis) error {
	limit := in.plugin.callLimit()
	if in.touch != nil {
		if err := in.put(key, nil, limit); err != nil {
			return err
		}
		in.stack[0], in.stack[1] = uint64(in.buffer), uint64(len(key))
		in.stack[2], in.stack[3] = uint64(expires), uint64(now)
		if err := in.run(in.touch, limit); err != nil {
			return err
		}
		_, err := in.number()
		if code, _ := codeOf(err); code != abi.Unsupported {
			return err
		}
		in.touch = nil // it answers so always
	}
	value, err := in.doGet(key, now)
	if err != nil {
		return err
	}
	if expires != 0 && expires <= now {
		return in.doDelete(key, now)
	}
	// The value lies in the guest's memory, where the next call may move it.
	s.scratch = append(s.scratch[:0], value...)
	err = in.doSet(store.Write{Key: key, Value: s.scratch, Expires: expires, Now: now})
	if cap(s.scratch) > 1<<20 {
		s.scratch = nil
	}
	return err
}

func (in *instance) doDelete(key []byte, now store.Millis) error {
	limit := in.plugin.callLimit()
	if err := in.put(key, nil, limit); err != nil {
		return err
	}
	in.stack[0], in.stack[1], in.stack[2] = uint64(in.buffer), uint64(len(key)), uint64(now)
	if err := in.run(in.del, limit); err != nil {
		return err
	}
	_, err := in.number()
	if err == errNotFound {
		return nil // what is absent has been deleted
	}
	return err
}

// doTime calls clear or save.
func (in *instance) doTime(f api.Function, now store.Millis) error {
	in.stack[0] = uint64(now)
	if err := in.run(f, in.plugin.callLimit()); err != nil {
		return err
	}
	_, err := in.number()
	return err
}

package plugin

import (
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/store"
)

// Each method calls one export of the contract.

// Initialize implements protocol.Instance.
func (in *instance) Initialize() error {
	if in.initialize == nil {
		return nil
	}
	return in.run(in.initialize, in.machine.openLimit)
}

// Describe implements protocol.Instance.
func (in *instance) Describe() ([]byte, error) {
	if in.describe == nil {
		return nil, protocol.Absent
	}
	if err := in.run(in.describe, in.machine.openLimit); err != nil {
		return nil, err
	}
	return in.result(protocol.MaxDescription)
}

// Open implements protocol.Instance.
func (in *instance) Open(pairs []byte) error {
	limit := in.machine.openLimit
	if err := in.ensure(len(pairs), limit); err != nil {
		return err
	}
	in.mem.Write(in.buffer, pairs)
	in.stack[0], in.stack[1] = uint64(in.buffer), uint64(len(pairs))
	return in.finish(in.open, limit)
}

// Get implements protocol.Instance.
func (in *instance) Get(key []byte, now store.Millis) ([]byte, error) {
	limit := in.machine.callLimit()
	if err := in.put(key, nil, limit); err != nil {
		return nil, err
	}
	in.stack[0], in.stack[1], in.stack[2] = uint64(in.buffer), uint64(len(key)), uint64(now)
	if err := in.run(in.get, limit); err != nil {
		return nil, err
	}
	return in.result(abi.MaxValue)
}

// Set implements protocol.Instance.
func (in *instance) Set(w store.Write) error {
	limit := in.machine.callLimit()
	if err := in.put(w.Key, w.Value, limit); err != nil {
		return err
	}
	in.stack[0], in.stack[1] = uint64(in.buffer), uint64(len(w.Key))
	in.stack[2], in.stack[3] = uint64(in.buffer)+uint64(len(w.Key)), uint64(len(w.Value))
	in.stack[4], in.stack[5], in.stack[6] = uint64(w.Expires), uint64(w.Now), uint64(w.Expect)
	if err := in.run(in.set, limit); err != nil {
		return err
	}
	_, err := in.number()
	return err
}

// Touch implements protocol.Instance.
func (in *instance) Touch(key []byte, expires, now store.Millis) error {
	if in.touch == nil {
		return protocol.Absent
	}
	limit := in.machine.callLimit()
	if err := in.put(key, nil, limit); err != nil {
		return err
	}
	in.stack[0], in.stack[1] = uint64(in.buffer), uint64(len(key))
	in.stack[2], in.stack[3] = uint64(expires), uint64(now)
	return in.finish(in.touch, limit)
}

// Delete implements protocol.Instance.
func (in *instance) Delete(key []byte, now store.Millis) error {
	limit := in.machine.callLimit()
	if err := in.put(key, nil, limit); err != nil {
		return err
	}
	in.stack[0], in.stack[1], in.stack[2] = uint64(in.buffer), uint64(len(key)), uint64(now)
	return in.finish(in.del, limit)
}

// Clear implements protocol.Instance.
func (in *instance) Clear(now store.Millis) error {
	in.stack[0] = uint64(now)
	return in.finish(in.clear, in.machine.callLimit())
}

// Save implements protocol.Instance.
func (in *instance) Save(now store.Millis) error {
	in.stack[0] = uint64(now)
	return in.finish(in.save, in.machine.callLimit())
}

// Sweep implements protocol.Instance.
func (in *instance) Sweep(most int, now store.Millis) (removed int64, err error) {
	return in.someOf(in.sweep, most, now)
}

// Flush implements protocol.Instance.
func (in *instance) Flush(most int, now store.Millis) (left int64, err error) {
	return in.someOf(in.flush, most, now)
}

func (in *instance) someOf(f api.Function, most int, now store.Millis) (int64, error) {
	if f == nil {
		return 0, protocol.Absent
	}
	in.stack[0], in.stack[1] = uint64(now), uint64(most)
	if err := in.run(f, in.machine.callLimit()); err != nil {
		return 0, err
	}
	return in.number()
}

// Keys implements protocol.Instance.
func (in *instance) Keys(cursor int64, now store.Millis) (next int64, list []byte, err error) {
	return in.chunk(in.keys, cursor, now)
}

// Snapshot implements protocol.Instance.
func (in *instance) Snapshot(cursor int64, now store.Millis) (next int64, list []byte, err error) {
	return in.chunk(in.snapshot, cursor, now)
}

func (in *instance) chunk(f api.Function, cursor int64, now store.Millis) (next int64, list []byte, err error) {
	if f == nil {
		return 0, nil, protocol.Absent
	}
	in.stack[0], in.stack[1] = uint64(cursor), uint64(now)
	if err := in.run(f, in.machine.callLimit()); err != nil {
		return 0, nil, err
	}
	b, err := in.result(maxChunk)
	if err != nil {
		return 0, nil, err
	}
	next, list, ok := abi.CutCursor(b)
	if !ok {
		return 0, nil, protocol.Broken("a chunk of %d bytes: must begin with a cursor of 8", len(b))
	}
	return next, list, nil
}

// Restore implements protocol.Instance.
func (in *instance) Restore(list []byte, now store.Millis, opening bool) error {
	if in.restore == nil {
		return protocol.Absent
	}
	limit := in.machine.callLimit()
	if opening {
		limit = in.machine.openLimit
	}
	if err := in.put(list, nil, limit); err != nil {
		return err
	}
	in.stack[0], in.stack[1], in.stack[2] = uint64(in.buffer), uint64(len(list)), uint64(now)
	return in.finish(in.restore, limit)
}

// Stats implements protocol.Instance.
func (in *instance) Stats() ([]byte, error) {
	if in.stats == nil {
		return nil, protocol.Absent
	}
	if err := in.run(in.stats, in.machine.callLimit()); err != nil {
		return nil, err
	}
	return in.result(protocol.MaxDescription)
}

// finish makes a call whose only result is success.
func (in *instance) finish(f api.Function, limit time.Duration) error {
	if err := in.run(f, limit); err != nil {
		return err
	}
	_, err := in.number()
	return err
}

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
func (inst *instance) Initialize() error {
	if inst.initialize == nil {
		return nil
	}
	return inst.run(inst.initialize, inst.machine.openLimit)
}

// Describe implements protocol.Instance.
func (inst *instance) Describe() ([]byte, error) {
	if inst.describe == nil {
		return nil, protocol.Absent
	}
	if err := inst.run(inst.describe, inst.machine.openLimit); err != nil {
		return nil, err
	}
	return inst.result(protocol.MaxDescription)
}

// Open implements protocol.Instance.
func (inst *instance) Open(pairs []byte) error {
	limit := inst.machine.openLimit
	if err := inst.ensure(len(pairs), limit); err != nil {
		return err
	}
	inst.mem.Write(inst.buffer, pairs)
	inst.stack[0], inst.stack[1] = uint64(inst.buffer), uint64(len(pairs))
	return inst.finish(inst.open, limit)
}

// Get implements protocol.Instance.
func (inst *instance) Get(key []byte, now store.Millis) ([]byte, error) {
	limit := inst.machine.callLimit()
	if err := inst.put(key, nil, limit); err != nil {
		return nil, err
	}
	inst.stack[0], inst.stack[1], inst.stack[2] = uint64(inst.buffer), uint64(len(key)), uint64(now)
	if err := inst.run(inst.get, limit); err != nil {
		return nil, err
	}
	return inst.result(abi.MaxValue)
}

// Set implements protocol.Instance.
func (inst *instance) Set(w store.Write) error {
	limit := inst.machine.callLimit()
	if err := inst.put(w.Key, w.Value, limit); err != nil {
		return err
	}
	inst.stack[0], inst.stack[1] = uint64(inst.buffer), uint64(len(w.Key))
	inst.stack[2], inst.stack[3] = uint64(inst.buffer)+uint64(len(w.Key)), uint64(len(w.Value))
	inst.stack[4], inst.stack[5], inst.stack[6] = uint64(w.Expires), uint64(w.Now), uint64(w.Expect)
	if err := inst.run(inst.set, limit); err != nil {
		return err
	}
	_, err := inst.number()
	return err
}

// Touch implements protocol.Instance.
func (inst *instance) Touch(key []byte, expires, now store.Millis) error {
	if inst.touch == nil {
		return protocol.Absent
	}
	limit := inst.machine.callLimit()
	if err := inst.put(key, nil, limit); err != nil {
		return err
	}
	inst.stack[0], inst.stack[1] = uint64(inst.buffer), uint64(len(key))
	inst.stack[2], inst.stack[3] = uint64(expires), uint64(now)
	return inst.finish(inst.touch, limit)
}

// Delete implements protocol.Instance.
func (inst *instance) Delete(key []byte, now store.Millis) error {
	limit := inst.machine.callLimit()
	if err := inst.put(key, nil, limit); err != nil {
		return err
	}
	inst.stack[0], inst.stack[1], inst.stack[2] = uint64(inst.buffer), uint64(len(key)), uint64(now)
	return inst.finish(inst.del, limit)
}

// Clear implements protocol.Instance.
func (inst *instance) Clear(now store.Millis) error {
	inst.stack[0] = uint64(now)
	return inst.finish(inst.clear, inst.machine.callLimit())
}

// Save implements protocol.Instance.
func (inst *instance) Save(now store.Millis) error {
	inst.stack[0] = uint64(now)
	return inst.finish(inst.save, inst.machine.callLimit())
}

// Sweep implements protocol.Instance.
func (inst *instance) Sweep(most int, now store.Millis) (removed int64, err error) {
	return inst.someOf(inst.sweep, most, now)
}

// Flush implements protocol.Instance.
func (inst *instance) Flush(most int, now store.Millis) (left int64, err error) {
	return inst.someOf(inst.flush, most, now)
}

func (inst *instance) someOf(f api.Function, most int, now store.Millis) (int64, error) {
	if f == nil {
		return 0, protocol.Absent
	}
	inst.stack[0], inst.stack[1] = uint64(now), uint64(most)
	if err := inst.run(f, inst.machine.callLimit()); err != nil {
		return 0, err
	}
	return inst.number()
}

// Keys implements protocol.Instance.
func (inst *instance) Keys(cursor int64, now store.Millis) (next int64, list []byte, err error) {
	return inst.chunk(inst.keys, cursor, now)
}

// Snapshot implements protocol.Instance.
func (inst *instance) Snapshot(cursor int64, now store.Millis) (next int64, list []byte, err error) {
	return inst.chunk(inst.snapshot, cursor, now)
}

func (inst *instance) chunk(f api.Function, cursor int64, now store.Millis) (next int64, list []byte, err error) {
	if f == nil {
		return 0, nil, protocol.Absent
	}
	inst.stack[0], inst.stack[1] = uint64(cursor), uint64(now)
	if err := inst.run(f, inst.machine.callLimit()); err != nil {
		return 0, nil, err
	}
	b, err := inst.result(maxChunk)
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
func (inst *instance) Restore(list []byte, now store.Millis, opening bool) error {
	if inst.restore == nil {
		return protocol.Absent
	}
	limit := inst.machine.callLimit()
	if opening {
		limit = inst.machine.openLimit
	}
	if err := inst.put(list, nil, limit); err != nil {
		return err
	}
	inst.stack[0], inst.stack[1], inst.stack[2] = uint64(inst.buffer), uint64(len(list)), uint64(now)
	return inst.finish(inst.restore, limit)
}

// Stats implements protocol.Instance.
func (inst *instance) Stats() ([]byte, error) {
	if inst.stats == nil {
		return nil, protocol.Absent
	}
	if err := inst.run(inst.stats, inst.machine.callLimit()); err != nil {
		return nil, err
	}
	return inst.result(protocol.MaxDescription)
}

// finish makes a call whose only result is success.
func (inst *instance) finish(f api.Function, limit time.Duration) error {
	if err := inst.run(f, limit); err != nil {
		return err
	}
	_, err := inst.number()
	return err
}

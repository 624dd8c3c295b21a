package plugin

import (
	"math"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/store"
)

// Each method calls one export of the contract.

// Initialize implements protocol.Instance.
func (inst *instance) Initialize() error {
	if !inst.machine.exports.has(exportInitialize) {
		return nil
	}
	inst.stack[0] = exportInitialize
	return inst.run(&inst.machine.openAllowed)
}

// Describe implements protocol.Instance.
func (inst *instance) Describe() ([]byte, error) {
	if !inst.machine.exports.has(exportDescribe) {
		return nil, protocol.Absent
	}
	inst.stack[0] = exportDescribe
	if err := inst.run(&inst.machine.openAllowed); err != nil {
		return nil, err
	}
	return inst.result(protocol.MaxDescription)
}

// Copied tells a copy of an initialised guest that it is one. It is called before Open.
func (inst *instance) Copied() error {
	if !inst.machine.exports.has(exportCopied) {
		return protocol.Absent
	}
	inst.stack[0] = exportCopied
	return inst.finish(&inst.machine.openAllowed)
}

// Open implements protocol.Instance.
func (inst *instance) Open(pairs []byte) error {
	allowed := &inst.machine.openAllowed
	if err := inst.ensure(len(pairs), allowed); err != nil {
		return err
	}
	copy(inst.extent.view[inst.buffer:], pairs)
	inst.stack[0], inst.stack[1], inst.stack[2] = exportOpen, uint64(inst.buffer), uint64(len(pairs))
	return inst.finish(allowed)
}

// Get implements protocol.Instance.
func (inst *instance) Get(key []byte, now store.Millis) ([]byte, error) {
	allowed := inst.machine.callAllowed()
	if err := inst.put(key, nil, allowed); err != nil {
		return nil, err
	}
	inst.stack[0], inst.stack[1], inst.stack[2], inst.stack[3] = exportGet, uint64(inst.buffer), uint64(len(key)), uint64(now)
	if err := inst.run(allowed); err != nil {
		return nil, err
	}
	return inst.result(abi.MaxValue)
}

// Set implements protocol.Instance.
func (inst *instance) Set(w store.Write) error {
	allowed := inst.machine.callAllowed()
	if err := inst.put(w.Key, w.Value, allowed); err != nil {
		return err
	}
	inst.stack[0], inst.stack[1], inst.stack[2] = exportSet, uint64(inst.buffer), uint64(len(w.Key))
	inst.stack[3], inst.stack[4] = uint64(inst.buffer)+uint64(len(w.Key)), uint64(len(w.Value))
	inst.stack[5], inst.stack[6], inst.stack[7] = uint64(w.Expires), uint64(w.Now), uint64(w.Expect)
	return inst.finish(allowed)
}

// Touch implements protocol.Instance.
func (inst *instance) Touch(key []byte, expires, now store.Millis) error {
	if !inst.machine.exports.has(exportTouch) {
		return protocol.Absent
	}
	allowed := inst.machine.callAllowed()
	if err := inst.put(key, nil, allowed); err != nil {
		return err
	}
	inst.stack[0], inst.stack[1], inst.stack[2] = exportTouch, uint64(inst.buffer), uint64(len(key))
	inst.stack[3], inst.stack[4] = uint64(expires), uint64(now)
	return inst.finish(allowed)
}

// Delete implements protocol.Instance.
func (inst *instance) Delete(key []byte, now store.Millis) error {
	allowed := inst.machine.callAllowed()
	if err := inst.put(key, nil, allowed); err != nil {
		return err
	}
	inst.stack[0], inst.stack[1], inst.stack[2], inst.stack[3] = exportDelete, uint64(inst.buffer), uint64(len(key)), uint64(now)
	return inst.finish(allowed)
}

// Clear implements protocol.Instance.
func (inst *instance) Clear(now store.Millis) error {
	inst.stack[0], inst.stack[1] = exportClear, uint64(now)
	return inst.finish(inst.machine.callAllowed())
}

// Save implements protocol.Instance.
func (inst *instance) Save(now store.Millis) error {
	inst.stack[0], inst.stack[1] = exportSave, uint64(now)
	return inst.finish(inst.machine.callAllowed())
}

// Sweep implements protocol.Instance.
func (inst *instance) Sweep(most int, now store.Millis) (removed int64, err error) {
	return inst.someOf(exportSweep, most, now)
}

// Flush implements protocol.Instance.
func (inst *instance) Flush(most int, now store.Millis) (left int64, err error) {
	return inst.someOf(exportFlush, most, now)
}

func (inst *instance) someOf(f export, most int, now store.Millis) (int64, error) {
	if !inst.machine.exports.has(f) {
		return 0, protocol.Absent
	}
	inst.stack[0], inst.stack[1], inst.stack[2] = f, uint64(now), uint64(most)
	if err := inst.run(inst.machine.callAllowed()); err != nil {
		return 0, err
	}
	return inst.number()
}

// Keys implements protocol.Instance.
func (inst *instance) Keys(cursor int64, now store.Millis) (next int64, list []byte, err error) {
	return inst.chunk(exportKeys, cursor, now)
}

// Snapshot implements protocol.Instance.
func (inst *instance) Snapshot(cursor int64, now store.Millis) (next int64, list []byte, err error) {
	return inst.chunk(exportSnapshot, cursor, now)
}

func (inst *instance) chunk(f export, cursor int64, now store.Millis) (next int64, list []byte, err error) {
	if !inst.machine.exports.has(f) {
		return 0, nil, protocol.Absent
	}
	inst.stack[0], inst.stack[1], inst.stack[2] = f, uint64(cursor), uint64(now)
	if err := inst.run(inst.machine.callAllowed()); err != nil {
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
	if !inst.machine.exports.has(exportRestore) {
		return protocol.Absent
	}
	allowed := inst.machine.callAllowed()
	if opening {
		allowed = &inst.machine.openAllowed
	}
	if err := inst.put(list, nil, allowed); err != nil {
		return err
	}
	inst.stack[0], inst.stack[1], inst.stack[2], inst.stack[3] = exportRestore, uint64(inst.buffer), uint64(len(list)), uint64(now)
	return inst.finish(allowed)
}

// Batch implements protocol.Batcher. It may use as much fuel as its operations one by one.
func (inst *instance) Batch(list []byte, operations int) ([]byte, error) {
	if !inst.machine.exports.has(exportBatch) {
		return nil, protocol.Absent
	}
	if err := inst.put(list, nil, inst.machine.callAllowed()); err != nil {
		return nil, err
	}
	inst.stack[0], inst.stack[1], inst.stack[2] = exportBatch, uint64(inst.buffer), uint64(len(list))
	inst.operations = operations
	err := inst.run(inst.machine.callAllowed().times(operations))
	inst.operations = 0
	if err != nil {
		return nil, err
	}
	return inst.result(maxChunk)
}

// times are the bounds of a call for several operations.
func (b bounds) times(operations int) *bounds {
	if b.fuel > math.MaxInt64/int64(operations) {
		b.fuel = math.MaxInt64
	} else {
		b.fuel *= int64(operations)
	}
	if b.time > math.MaxInt64/protocol.BatchTimes {
		b.time = math.MaxInt64
	} else {
		b.time *= protocol.BatchTimes
	}
	return &b
}

// Stats implements protocol.Instance.
func (inst *instance) Stats() ([]byte, error) {
	if !inst.machine.exports.has(exportStats) {
		return nil, protocol.Absent
	}
	inst.stack[0] = exportStats
	if err := inst.run(inst.machine.callAllowed()); err != nil {
		return nil, err
	}
	return inst.result(protocol.MaxDescription)
}

// finish makes a call, as run does, whose only result is success.
func (inst *instance) finish(allowed *bounds) error {
	if err := inst.run(allowed); err != nil {
		return err
	}
	_, err := inst.number()
	return err
}

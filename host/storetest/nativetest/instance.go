//go:build !wasip1

package nativetest

import (
	"errors"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/store"
)

// instance is an engine as a [protocol.Instance].
type instance struct {
	engines *engines
	shard   int
	engine  guest.Engine
	harness *guest.Harness
	opened  bool
}

var _ protocol.Instance = (*instance)(nil)

func (e *engines) instance(shard int) (protocol.Instance, error) {
	engine := e.config.Engine(e.config.Setup.Dir)
	return &instance{engines: e, shard: shard, engine: engine, harness: guest.NewHarness(engine, e.config.Info)}, nil
}

// Initialize implements protocol.Instance.
func (i *instance) Initialize() error { return nil }

// Describe implements protocol.Instance.
func (i *instance) Describe() ([]byte, error) { return i.harness.Describe(), nil }

// Open implements protocol.Instance.
func (i *instance) Open(list []byte) error {
	defer i.say()
	var pairs []string
	for name, value, rest, ok := abi.NextPair(list); ok; name, value, rest, ok = abi.NextPair(rest) {
		pairs = append(pairs, name, value)
	}
	err := i.harness.Open(pairs...)
	i.opened = err == nil
	return answer(err)
}

// Get implements protocol.Instance.
func (i *instance) Get(key []byte, now store.Millis) ([]byte, error) {
	defer i.told(now)
	value, err := i.harness.Get(key, int64(now))
	if err == nil && len(value) > abi.MaxValue {
		return nil, protocol.Broken("a value of %d bytes: must be at most %d", len(value), abi.MaxValue)
	}
	return value, answer(err)
}

// Set implements protocol.Instance.
func (i *instance) Set(w store.Write) error {
	defer i.told(w.Now)
	return answer(i.harness.Set(guest.Write{Key: w.Key, Value: w.Value, Expires: int64(w.Expires), Now: int64(w.Now), Expect: w.Expect}))
}

// Touch implements protocol.Instance.
func (i *instance) Touch(key []byte, expires, now store.Millis) error {
	defer i.told(now)
	return answer(i.harness.Touch(key, int64(expires), int64(now)))
}

// Delete implements protocol.Instance.
func (i *instance) Delete(key []byte, now store.Millis) error {
	defer i.told(now)
	return answer(i.harness.Delete(key, int64(now)))
}

// Clear implements protocol.Instance.
func (i *instance) Clear(now store.Millis) error {
	defer i.told(now)
	return answer(i.harness.Clear(int64(now)))
}

// Save implements protocol.Instance.
func (i *instance) Save(now store.Millis) error {
	defer i.told(now)
	return answer(i.harness.Save(int64(now)))
}

// Sweep implements protocol.Instance.
func (i *instance) Sweep(most int, now store.Millis) (removed int64, err error) {
	defer i.told(now)
	n, err := i.harness.Sweep(most, int64(now))
	return int64(n), answer(err)
}

// Flush implements protocol.Instance.
func (i *instance) Flush(most int, now store.Millis) (left int64, err error) {
	defer i.told(now)
	n, err := i.harness.Flush(most, int64(now))
	return int64(n), answer(err)
}

// Keys implements protocol.Instance.
func (i *instance) Keys(cursor int64, now store.Millis) (next int64, list []byte, err error) {
	defer i.told(now)
	keys, next, err := i.harness.Keys(cursor, int64(now))
	for _, key := range keys {
		list = abi.AppendKey(list, key)
	}
	return next, list, answer(err)
}

// Snapshot implements protocol.Instance.
func (i *instance) Snapshot(cursor int64, now store.Millis) (next int64, list []byte, err error) {
	defer i.told(now)
	list, next, err = i.harness.Snapshot(cursor, int64(now))
	return next, list, answer(err)
}

// Restore implements protocol.Instance.
func (i *instance) Restore(list []byte, now store.Millis, _ bool) error {
	defer i.told(now)
	return answer(i.harness.Restore(list, int64(now)))
}

// Stats implements protocol.Instance.
func (i *instance) Stats() ([]byte, error) {
	defer i.say()
	list, err := i.harness.Stats()
	return list, answer(err)
}

// Batch makes several operations in one call.
func (i *instance) Batch(list []byte, _ int) (results []byte, err error) {
	defer i.say()
	results, err = i.harness.Batch(list)
	return results, answer(err)
}

// Idle gives the engine time for what it does in the background.
func (i *instance) Idle(now store.Millis) (next int64, err error) {
	defer i.told(now)
	next, err = i.harness.Idle(int64(now))
	return next, answer(err)
}

// Memory implements protocol.Instance.
func (i *instance) Memory() int64 { return 0 }

// Fuel implements protocol.Instance. Native code is not metered.
func (i *instance) Fuel() uint64 { return 0 }

// Output implements protocol.Instance.
func (i *instance) Output() string { return "" }

// Close implements protocol.Instance. It lets an engine that was opened close its
// files. For a module, the end of its instance does that.
func (i *instance) Close() {
	if !i.opened {
		return
	}
	defer i.say()
	switch e := i.engine.(type) {
	case interface{ Close() }:
		e.Close()
	case interface{ Close() error }:
		_ = e.Close() // there is nobody to tell, and the records were saved
	}
}

// told notes the time for the save before closing, since there is no clock here.
func (i *instance) told(now store.Millis) {
	i.engines.last.Store(int64(now))
	i.say()
}

// say passes on the engine's log lines.
func (i *instance) say() {
	if log := i.engines.config.Log; log != nil {
		log(i.shard, guest.Logged())
	}
}

// codes maps an engine's errors to codes.
var codes = []struct {
	err  error
	code abi.Code
}{
	{guest.ErrNotFound, abi.NotFound},
	{guest.ErrInvalid, abi.Invalid},
	{guest.ErrTooLarge, abi.TooLarge},
	{guest.ErrNoSpace, abi.NoSpace},
	{guest.ErrUnavailable, abi.Unavailable},
	{guest.ErrConflict, abi.Conflict},
	{guest.ErrCorrupt, abi.Corrupt},
	{guest.ErrDenied, abi.Denied},
	{guest.ErrUnsupported, abi.Unsupported},
	{guest.ErrInternal, abi.Internal},
}

// answer turns a harness's error into an answer of the protocol. Nil stays nil.
func answer(err error) error {
	if err == nil {
		return nil
	}
	for _, c := range codes {
		if !errors.Is(err, c.err) {
			continue
		}
		message := ""
		if err != c.err {
			message = strings.TrimPrefix(err.Error(), c.err.Error()+": ")
		}
		a := protocol.AnswerOf(c.code, message)
		if a, ok := a.(*protocol.Answer); ok {
			a.NoBuffer = err == guest.ErrNoBuffer
		}
		return a
	}
	return err
}

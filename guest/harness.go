//go:build !wasip1

package guest

import "github.com/waddle-sessions/waddle/abi"

// Harness drives an engine in native tests as a host drives the module: through
// the exchange buffer, the codes and the lists of the interface. The errors it
// returns wrap one of this package's errors and carry the message that the host
// would get. Package guesttest adds a whole suite of checks on top of it.
//
// It exists in native builds only. Calls of all harnesses in a program run one
// at a time, as a module's do, so several engines may share a buffer in a
// package variable. A value that an engine returns is valid until the next call
// of the same harness, unless the engine keeps it in a package variable.
type Harness struct{ instance instance }

// ErrNoBuffer is returned when the engine has no exchange buffer for what it
// should be given, so the call was not made. Either the argument is larger than
// Info allows, or it is a list of records that a host would then divide. It is
// ErrNoSpace as well.
var ErrNoBuffer = Fail(ErrNoSpace, "session_alloc returned 0")

// NewHarness returns a harness around an engine that is not open. It panics
// where Register does.
func NewHarness(engine Engine, info Info) *Harness {
	h := new(Harness)
	h.instance.init(engine, info)
	return h
}

// Open opens the engine with settings: alternating names and values, the names
// in ascending order.
func (h *Harness) Open(settings ...string) error {
	h.enter()
	defer h.leave()
	var list []byte
	for i := 0; i < len(settings); i += 2 {
		list = abi.AppendPair(list, settings[i], settings[i+1])
	}
	ptr, err := h.write(list)
	if err != nil {
		return err
	}
	return harnessError(h.instance.open(ptr, uint32(len(list))))
}

// Copied is session_copied, which a host calls before Open if the instance is a copy.
func (h *Harness) Copied() error {
	h.enter()
	defer h.leave()
	return harnessError(h.instance.copied())
}

// Describe returns the list of names and values by which the engine describes
// itself.
func (h *Harness) Describe() []byte {
	h.enter()
	defer h.leave()
	b, _ := h.instance.describe()
	return b
}

// Get is session_get.
func (h *Harness) Get(key []byte, now int64) ([]byte, error) {
	h.enter()
	defer h.leave()
	ptr, err := h.write(key)
	if err != nil {
		return nil, err
	}
	if code := h.instance.get(ptr, uint32(len(key)), now); code < 0 {
		return nil, harnessError(code)
	}
	return h.instance.result, nil
}

// Set is session_set.
func (h *Harness) Set(w Write) error {
	h.enter()
	defer h.leave()
	ptr, err := h.write(w.Key, w.Value)
	if err != nil {
		return err
	}
	keyLen := uint32(len(w.Key))
	return harnessError(h.instance.set(ptr, keyLen, ptr+keyLen, uint32(len(w.Value)), w.Expires, w.Now, w.Expect))
}

// Touch is session_touch.
func (h *Harness) Touch(key []byte, expires, now int64) error {
	h.enter()
	defer h.leave()
	ptr, err := h.write(key)
	if err != nil {
		return err
	}
	return harnessError(h.instance.touch(ptr, uint32(len(key)), expires, now))
}

// Delete is session_delete.
func (h *Harness) Delete(key []byte, now int64) error {
	h.enter()
	defer h.leave()
	ptr, err := h.write(key)
	if err != nil {
		return err
	}
	return harnessError(h.instance.delete(ptr, uint32(len(key)), now))
}

// Clear is session_clear.
func (h *Harness) Clear(now int64) error {
	h.enter()
	defer h.leave()
	return harnessError(h.instance.clear(now))
}

// Save is session_save.
func (h *Harness) Save(now int64) error {
	h.enter()
	defer h.leave()
	return harnessError(h.instance.save(now))
}

// Sweep is session_sweep.
func (h *Harness) Sweep(max int, now int64) (removed int, err error) {
	h.enter()
	defer h.leave()
	n := h.instance.sweep(now, uint32(max))
	return int(n), harnessError(n)
}

// Flush is session_flush.
func (h *Harness) Flush(max int, now int64) (left int, err error) {
	h.enter()
	defer h.leave()
	n := h.instance.flush(now, uint32(max))
	return int(n), harnessError(n)
}

// Keys is session_keys: one chunk, in memory of its own, and the cursor of the
// next.
func (h *Harness) Keys(cursor, now int64) (keys [][]byte, next int64, err error) {
	h.enter()
	defer h.leave()
	b, code := h.instance.keys(cursor, now)
	if code < 0 {
		return nil, 0, harnessError(code)
	}
	next, list, _ := abi.CutCursor(append([]byte(nil), b...))
	for {
		key, rest, ok := abi.NextKey(list)
		if !ok {
			return keys, next, nil
		}
		keys, list = append(keys, key), rest
	}
}

// Snapshot is session_snapshot: the list of one chunk, as Restore takes it, in
// memory of its own, and the cursor of the next.
func (h *Harness) Snapshot(cursor, now int64) (list []byte, next int64, err error) {
	h.enter()
	defer h.leave()
	b, code := h.instance.snapshot(cursor, now)
	if code < 0 {
		return nil, 0, harnessError(code)
	}
	next, list, _ = abi.CutCursor(append([]byte(nil), b...))
	return list, next, nil
}

// Restore is session_restore.
func (h *Harness) Restore(list []byte, now int64) error {
	h.enter()
	defer h.leave()
	ptr, err := h.write(list)
	if err != nil {
		return err
	}
	return harnessError(h.instance.restore(ptr, uint32(len(list)), now))
}

// Stats is session_stats: the list of names and values, in memory of its own.
func (h *Harness) Stats() ([]byte, error) {
	h.enter()
	defer h.leave()
	b, code := h.instance.stats()
	return append([]byte(nil), b...), harnessError(code)
}

// Batch is session_batch: a list of operations, as abi.AppendBatchOp makes it, and the list
// of results, as abi.NextBatchResult takes it apart, in memory of its own.
func (h *Harness) Batch(list []byte) (results []byte, err error) {
	h.enter()
	defer h.leave()
	ptr, err := h.write(list)
	if err != nil {
		return nil, err
	}
	b, code := h.instance.runBatch(ptr, uint32(len(list)))
	return append([]byte(nil), b...), harnessError(code)
}

// Idle is session_idle: after how many milliseconds it wants to be called again, 0 to leave
// that to the host.
func (h *Harness) Idle(now int64) (next int64, err error) {
	h.enter()
	defer h.leave()
	next = h.instance.idle(now)
	return max(next, 0), harnessError(next)
}

// enter begins a call. No other harness runs until leave, Scratch serves this
// instance, and no message is left over from the previous call.
func (h *Harness) enter() {
	harnesses.mu.Lock()
	harnesses.serving.Store(&h.instance)
	recorder.mu.Lock()
	recorder.fail = ""
	recorder.mu.Unlock()
}

func (h *Harness) leave() {
	harnesses.serving.Store(nil)
	harnesses.mu.Unlock()
}

func (h *Harness) write(parts ...[]byte) (ptr uint32, err error) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if ptr = h.instance.alloc(uint32(max(size, 1))); ptr == 0 {
		return 0, ErrNoBuffer
	}
	at := 0
	for _, p := range parts {
		at += copy(h.instance.exchange[at:], p)
	}
	return ptr, nil
}

func harnessError(code int64) error {
	if code >= 0 {
		return nil
	}
	recorder.mu.Lock()
	message := recorder.fail
	recorder.fail = ""
	recorder.mu.Unlock()
	if message == "" {
		return codeError(code)
	}
	return Fail(codeError(code), message)
}

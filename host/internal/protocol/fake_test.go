package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// fake is a guest in Go. It keeps records in one map for all its instances, as a
// server elsewhere does, or in a map for each.
type fake struct {
	mu        sync.Mutex
	describes []string // pairs
	lacks     []string // exports
	shared    map[string]store.Record
	calls     map[string]int // by operation, over all instances
	opened    []int          // shards, in order
	fail      map[string]error
	flush     func(now store.Millis) (left int64) // nil for a guest without session_flush

	failures []*Failure // that callers got

	// within runs in each call of an instance, without a lock.
	within func(op string, shard int)
	// as makes another Instance of one; nil leaves it.
	as func(*fakeInstance) Instance
}

func newFake(describes ...string) *fake {
	return &fake{describes: describes, calls: make(map[string]int), fail: make(map[string]error), within: func(string, int) {}}
}

var errFake = errors.New("fake")

// open opens a store of the fake with all its shards.
func (f *fake) open(t testing.TB, config Config) *Store {
	st := f.lazy(t, config)
	for i := range st.shards {
		require.NoError(t, st.Open(i))
	}
	return st
}

func (f *fake) lazy(t testing.TB, config Config) *Store {
	config.Name = "fake"
	config.Shards = max(config.Shards, 1)
	config.New = func(shard int) (Instance, error) { return f.instance(shard) }
	config.Pairs = func(int) []byte { return nil }
	config.Fail = func(failed *Failure) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.failures = append(f.failures, failed)
		kind := failed.Kind
		if kind == nil {
			kind = store.FromCode(failed.Code)
		}
		return fmt.Errorf("%s in shard %d: %s: %w", failed.Op, failed.Shard, failed.Text(), errors.Join(errFake, kind))
	}
	config.MemoryLimit = max(config.MemoryLimit, 1<<24)
	st := New(config)
	t.Cleanup(func() { _ = st.Close(t.Context(), 1, nil) })
	return st
}

func (f *fake) instance(shard int) (Instance, error) {
	if err := f.call("new", shard); err != nil {
		return nil, err
	}
	records := f.shared
	if records == nil {
		records = make(map[string]store.Record)
	}
	inst := &fakeInstance{f: f, shard: shard, records: records}
	if f.as != nil {
		return f.as(inst), nil
	}
	return inst, nil
}

// call counts a call and returns the error set for it.
func (f *fake) call(op string, shard int) error {
	f.within(op, shard)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	if slices.Contains(f.lacks, op) {
		return Absent
	}
	return f.fail[op]
}

func (f *fake) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

func (f *fake) failing(op string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[op] = err
}

type fakeInstance struct {
	f        *fake
	shard    int
	records  map[string]store.Record
	closed   bool
	register Register // its fuel is 100 for opening, 7 for a get, 11 for a set, 1000 for its counts
}

func (i *fakeInstance) Initialize() error { return i.f.call("initialize", i.shard) }

func (i *fakeInstance) Describe() ([]byte, error) {
	var list []byte
	for n := 0; n < len(i.f.describes); n += 2 {
		list = abi.AppendPair(list, i.f.describes[n], i.f.describes[n+1])
	}
	return list, i.f.call("describe", i.shard)
}

func (i *fakeInstance) Open([]byte) error {
	i.register.Fuel += 100
	if err := i.f.call("open", i.shard); err != nil {
		return err
	}
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	i.f.opened = append(i.f.opened, i.shard)
	return nil
}

// find returns a record. The lock is held.
func (i *fakeInstance) find(key []byte, now store.Millis) (store.Record, bool) {
	r, ok := i.records[string(key)]
	return r, ok && (r.Expires == 0 || now < r.Expires)
}

func (i *fakeInstance) Get(key []byte, now store.Millis) ([]byte, error) {
	i.register.Fuel += 7
	if err := i.f.call("get", i.shard); err != nil {
		return nil, err
	}
	return i.get(key, now)
}

func (i *fakeInstance) get(key []byte, now store.Millis) ([]byte, error) {
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	r, ok := i.find(key, now)
	if !ok {
		return nil, store.ErrNotFound
	}
	return r.Value, nil
}

func (i *fakeInstance) Set(w store.Write) error {
	i.register.Fuel += 11
	if err := i.f.call("set", i.shard); err != nil {
		return err
	}
	return i.set(w)
}

func (i *fakeInstance) set(w store.Write) error {
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	r, ok := i.find(w.Key, w.Now)
	if w.Expect == store.Absent && ok || w.Expect != store.Any && w.Expect != store.Absent && (!ok || abi.Revision(r.Value) != uint64(w.Expect)) {
		return store.ErrConflict
	}
	if w.Expires != 0 && w.Expires <= w.Now {
		delete(i.records, string(w.Key))
		return nil
	}
	i.records[string(w.Key)] = store.Record{Key: bytes.Clone(w.Key), Value: bytes.Clone(w.Value), Expires: w.Expires}
	return nil
}

func (i *fakeInstance) Touch(key []byte, expires, now store.Millis) error {
	return Absent
}

func (i *fakeInstance) Delete(key []byte, now store.Millis) error {
	if err := i.f.call("delete", i.shard); err != nil {
		return err
	}
	return i.remove(key)
}

func (i *fakeInstance) remove(key []byte) error {
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	delete(i.records, string(key))
	return nil
}

func (i *fakeInstance) Clear(store.Millis) error {
	if err := i.f.call("clear", i.shard); err != nil {
		return err
	}
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	clear(i.records)
	return nil
}

func (i *fakeInstance) Save(store.Millis) error { return i.f.call("save", i.shard) }

func (i *fakeInstance) Sweep(most int, now store.Millis) (int64, error) {
	if err := i.f.call("sweep", i.shard); err != nil {
		return 0, err
	}
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	removed := int64(0)
	for key := range i.records {
		if _, ok := i.find([]byte(key), now); !ok {
			delete(i.records, key)
			removed++
		}
	}
	return removed, nil
}

func (i *fakeInstance) Flush(_ int, now store.Millis) (int64, error) {
	if i.f.flush == nil {
		return 0, Absent
	}
	return i.f.flush(now), nil
}

func (i *fakeInstance) Keys(cursor int64, now store.Millis) (int64, []byte, error) {
	return i.enumerate("keys", cursor, now, func(list []byte, r store.Record) []byte { return abi.AppendKey(list, r.Key) })
}

func (i *fakeInstance) Snapshot(cursor int64, now store.Millis) (int64, []byte, error) {
	return i.enumerate("snapshot", cursor, now, func(list []byte, r store.Record) []byte {
		return abi.AppendRecord(list, r.Key, r.Value, int64(r.Expires))
	})
}

// enumerate returns one record per chunk, in the order of the keys.
func (i *fakeInstance) enumerate(op string, cursor int64, now store.Millis, add func([]byte, store.Record) []byte) (int64, []byte, error) {
	if err := i.f.call(op, i.shard); err != nil {
		return 0, nil, err
	}
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	var keys []string
	for key := range i.records {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if int(cursor) >= len(keys) {
		return 0, nil, nil
	}
	r, ok := i.find([]byte(keys[cursor]), now)
	if !ok {
		return cursor + 1, nil, nil
	}
	return cursor + 1, add(nil, r), nil
}

func (i *fakeInstance) Restore([]byte, store.Millis, bool) error { return Absent }

func (i *fakeInstance) Stats() ([]byte, error) {
	i.register.Fuel += 1000
	if err := i.f.call("stats", i.shard); err != nil {
		return nil, err
	}
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	list := abi.AppendPair(nil, abi.StatsRecords, fmt.Sprint(len(i.records)))
	return abi.AppendPair(list, abi.StatsEvicted, "1"), nil
}

func (i *fakeInstance) Memory() int64  { return 1 }
func (i *fakeInstance) Fuel() uint64   { return i.register.Fuel }
func (i *fakeInstance) Output() string { return "" }

func (i *fakeInstance) Close() {
	_ = i.f.call("close", i.shard)
	i.closed = true
}

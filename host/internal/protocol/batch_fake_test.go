package protocol

import (
	"bytes"
	"context"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// batching is a fake whose instances take several operations in one call.
type batching struct {
	*fake

	mu      sync.Mutex
	calls   [][]string // of each call for several, "set key" and so on
	within  []context.Context
	during  func(calls int)                                 // in each call; nil for nothing
	answers func(results []byte, err error) ([]byte, error) // changes what is answered; nil leaves it
	result  func(op *abi.BatchOp) (abi.Code, []byte, bool)  // answers an operation instead; nil for none
	touches bool
}

func newBatching(f *fake) *batching {
	b := &batching{fake: f}
	f.as = func(i *fakeInstance) Instance { return &batchInstance{fakeInstance: i, b: b} }
	return b
}

func (b *batching) made() [][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]string(nil), b.calls...)
}

type batchInstance struct {
	*fakeInstance
	b *batching
}

var (
	_ Batcher    = (*batchInstance)(nil)
	_ Registered = (*batchInstance)(nil)
)

func (i *batchInstance) Register() *Register { return &i.register }

func (i *batchInstance) Touch(key []byte, expires, now store.Millis) error {
	if !i.b.touches {
		return Absent
	}
	if err := i.f.call("touch", i.shard); err != nil {
		return err
	}
	return i.touch(key, expires, now)
}

func (i *batchInstance) touch(key []byte, expires, now store.Millis) error {
	i.f.mu.Lock()
	defer i.f.mu.Unlock()
	r, ok := i.find(key, now)
	if !ok {
		return store.ErrNotFound
	}
	r.Expires = expires
	i.records[string(key)] = r
	if expires != 0 && expires <= now {
		delete(i.records, string(key))
	}
	return nil
}

var kindNames = map[uint32]string{abi.BatchGet: "get", abi.BatchSet: "set", abi.BatchDelete: "delete", abi.BatchTouch: "touch"}

func (i *batchInstance) Batch(list []byte, operations int) ([]byte, error) {
	list = bytes.Clone(list)
	var ops []abi.BatchOp
	var names []string
	for {
		var op abi.BatchOp
		rest, ok := abi.NextBatchOp(list, &op)
		if !ok {
			break
		}
		list = rest
		ops, names = append(ops, op), append(names, kindNames[op.Kind]+" "+string(op.Key))
	}
	if len(list) > 0 || len(ops) != operations {
		panic("the list is not well formed")
	}
	i.b.mu.Lock()
	i.b.calls, i.b.within = append(i.b.calls, names), append(i.b.within, i.register.Caller)
	calls := len(i.b.calls)
	i.b.mu.Unlock()
	if i.b.during != nil {
		i.b.during(calls)
	}
	err := i.f.call("batch", i.shard)
	var results []byte
	for n := range ops {
		i.register.Fuel += 5
		if err == nil || code(err) == abi.Unavailable {
			results = i.answer(results, &ops[n])
		}
	}
	if i.b.answers != nil {
		return i.b.answers(results, err)
	}
	if err != nil {
		return nil, err
	}
	return results, nil
}

func code(err error) abi.Code { code, _ := CodeOf(err); return code }

func (i *batchInstance) answer(results []byte, op *abi.BatchOp) []byte {
	if i.b.result != nil {
		if code, body, ok := i.b.result(op); ok {
			return abi.AppendBatchResult(results, code, body)
		}
	}
	now := store.Millis(op.Now)
	var value []byte
	var err error
	switch op.Kind {
	case abi.BatchGet:
		value, err = i.get(op.Key, now)
	case abi.BatchSet:
		err = i.set(store.Write{Key: op.Key, Value: op.Value, Expires: store.Millis(op.Expires), Now: now, Expect: op.Expect})
	case abi.BatchDelete:
		err = i.remove(op.Key)
	case abi.BatchTouch:
		if err = Absent; i.b.touches {
			err = i.touch(op.Key, store.Millis(op.Expires), now)
		}
	}
	if err != nil {
		return abi.AppendBatchResult(results, code(err), nil)
	}
	return abi.AppendBatchResult(results, 0, value)
}

// hold makes the instance busy until release is called, and waits until it is.
func hold(t *testing.T, f *fake, st *Store) (release func()) {
	t.Helper()
	in, out := make(chan struct{}), make(chan struct{})
	var held atomic.Int32
	before := f.within
	f.within = func(op string, shard int) {
		if op == "sweep" {
			if int(held.Add(1)) == len(st.shards) {
				close(in)
			}
			<-out
		}
		before(op, shard)
	}
	done := make(chan struct{})
	go func() {
		_ = st.everyShard(context.Background(), opSweep, func(_ *shard, inst *runner) error {
			_, err := inst.Sweep(1, math.MinInt64)
			return err
		})
		close(done)
	}()
	<-in
	return sync.OnceFunc(func() { close(out); <-done })
}

// inLine is how many operations wait.
func inLine(st *Store) int {
	if !st.batches.Load() {
		return st.Queue().Waiting
	}
	n := st.anybody.n.Load()
	for _, s := range st.shards {
		n += s.party.n.Load()
	}
	return int(n)
}

// together starts operations in the order given, each when the one before it waits, and returns
// when all wait. wait returns when all have ended.
func together(t *testing.T, st *Store, ops ...func()) (wait func()) {
	t.Helper()
	var all sync.WaitGroup
	before := inLine(st)
	for n, op := range ops {
		all.Go(op)
		require.Eventually(t, func() bool { return inLine(st) == before+n+1 }, time.Minute, 100*time.Microsecond)
	}
	return all.Wait
}

func joined(calls [][]string) string {
	var lines []string
	for _, call := range calls {
		lines = append(lines, strings.Join(call, ", "))
	}
	return strings.Join(lines, "; ")
}

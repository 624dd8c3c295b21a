//go:build !wasip1

package guesttest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// batches returns a check that an engine answers operations in a batch as it answers them
// alone, which the rest of the suite compares with the model.
func batches(engine func(dir string) guest.Engine, info guest.Info, settings func(namespace string) map[string]string) storetest.Test {
	return storetest.Test{
		Name:     "batch/as-alone",
		Section:  "8. Optional exports",
		Requires: "session_batch answers each operation as if it had been called alone, in the order of the list",
		Run: func(p *storetest.Probe) {
			e := engine(p.Dir())
			if _, ok := e.(guest.Batcher); !ok {
				p.Skip("the engine is no guest.Batcher")
			}
			p.Cleanup(func() error { return closeEngine(e) })
			b := &batcher{probe: p, random: p.Random(), info: info, harness: guest.NewHarness(e, info)}
			all := map[string]string{abi.ConfigShard: "0", abi.ConfigShards: "1", abi.ConfigMemoryLimit: strconv.Itoa(512 << 20)}
			maps.Copy(all, settings(fmt.Sprintf("b%x", p.Random().Uint64())))
			var pairs []string
			for _, name := range slices.Sorted(maps.Keys(all)) {
				pairs = append(pairs, name, all[name])
			}
			if err := b.harness.Open(pairs...); err != nil {
				p.Fail(err.Error(), "the engine opens")
			}
			for n := range p.Options().Sequences {
				p.Progress(n, p.Options().Sequences)
				b.sequence(n)
			}
		},
	}
}

// closeEngine is what the end of its instance is for a module.
func closeEngine(e guest.Engine) error {
	switch e := e.(type) {
	case interface{ Close() }:
		e.Close()
	case interface{ Close() error }:
		return e.Close()
	}
	return nil
}

// batcher makes the same operations together, under keys that begin with t, and alone, under keys
// that begin with a.
type batcher struct {
	probe   *storetest.Probe
	random  *rand.Rand
	info    guest.Info
	harness *guest.Harness

	keys     [5]string
	now      int64
	revision int64
}

// result is how one operation was answered.
type result struct {
	code  abi.Code
	value []byte
}

func (r result) String() string {
	if r.code == 0 {
		return fmt.Sprintf("success, with %d bytes", len(r.value))
	}
	return r.code.String()
}

// sequence makes some batches over a few keys.
func (b *batcher) sequence(number int) {
	b.now = int64(storetest.Now) + int64(number)*1000
	for n := range b.keys {
		b.keys[n] = fmt.Sprint("key ", number, " ", n)
	}
	for range 4 {
		ops := make([]abi.BatchOp, 1+b.random.IntN(40))
		if b.random.IntN(10) == 0 {
			ops = make([]abi.BatchOp, abi.MaxBatch)
		}
		for n := range ops {
			ops[n] = b.operation()
		}
		b.compare(ops)
		b.now += int64(b.random.IntN(30))
	}
	for _, key := range b.keys { // a store that is full has nothing to compare
		b.forget(key)
	}
}

// operation makes one up.
func (b *batcher) operation() abi.BatchOp {
	op := abi.BatchOp{Kind: abi.BatchGet + uint32(b.random.IntN(4)), Key: []byte(b.keys[b.random.IntN(len(b.keys))]), Now: b.now}
	if b.random.IntN(50) == 0 {
		op.Key = bytes.Repeat([]byte("k"), cmp.Or(b.info.MaxKey, abi.MaxKey)) // which a prefix makes too long
	}
	if op.Kind != abi.BatchSet && op.Kind != abi.BatchTouch {
		return op
	}
	switch b.random.IntN(4) {
	case 0:
		op.Expires = b.now + int64(b.random.IntN(40)) - 10
	case 1:
		op.Expires = b.now + 1<<30
	}
	if op.Kind == abi.BatchSet {
		b.revision++
		op.Value = binary.LittleEndian.AppendUint64(nil, uint64(b.revision))
		op.Value = append(op.Value, bytes.Repeat([]byte{byte(b.revision)}, b.random.IntN(200))...)
		if b.info.CAS {
			op.Expect = []int64{abi.ExpectAny, abi.ExpectAny, abi.ExpectAbsent, max(1, b.revision-int64(b.random.IntN(10)))}[b.random.IntN(4)]
		}
	}
	return op
}

// compare makes operations together and alone.
func (b *batcher) compare(ops []abi.BatchOp) {
	var list []byte
	for _, op := range ops {
		op.Key = append([]byte("t"), op.Key...)
		list = abi.AppendBatchOp(list, &op)
	}
	results, err := b.harness.Batch(list)
	if err != nil {
		b.probe.Fail(fmt.Sprintf("a batch of %d operations: %v", len(ops), err), "an answer to each of them")
	}
	apart := make(map[string]bool) // keys of operations that were not done
	for n, op := range ops {
		code, body, rest, ok := abi.NextBatchResult(results)
		if !ok {
			b.probe.Failf("an answer to each operation", "%d answers to a batch of %d", n, len(ops))
		}
		results = rest
		together, alone := result{code, bytes.Clone(body)}, b.alone("a", &op)
		if code != 0 {
			together.value = nil
		}
		if code == abi.Unsupported && alone.code != abi.Unsupported {
			if op.Kind != abi.BatchGet {
				apart[string(op.Key)] = true
			}
			continue
		}
		if !apart[string(op.Key)] && (together.code != alone.code || !bytes.Equal(together.value, alone.value)) {
			b.probe.Failf("as alone: "+alone.String(), "operation %d of %d in a batch, %s: %s", n, len(ops), words(&op), together)
		}
	}
	for key := range apart {
		b.forget(key)
	}
}

// alone makes an operation by its own call.
func (b *batcher) alone(prefix string, op *abi.BatchOp) result {
	key := append([]byte(prefix), op.Key...)
	var value []byte
	var err error
	switch op.Kind {
	case abi.BatchGet:
		value, err = b.harness.Get(key, op.Now)
	case abi.BatchSet:
		err = b.harness.Set(guest.Write{Key: key, Value: op.Value, Expires: op.Expires, Now: op.Now, Expect: op.Expect})
	case abi.BatchDelete:
		err = b.harness.Delete(key, op.Now)
	case abi.BatchTouch:
		err = b.harness.Touch(key, op.Expires, op.Now)
	}
	return result{codeOf(err), bytes.Clone(value)}
}

// forget removes what is under a key in both ways.
func (b *batcher) forget(key string) {
	for _, prefix := range []string{"a", "t"} {
		b.alone(prefix, &abi.BatchOp{Kind: abi.BatchDelete, Key: []byte(key), Now: b.now})
	}
}

func codeOf(err error) abi.Code {
	if err == nil {
		return 0
	}
	for _, e := range []struct {
		err  error
		code abi.Code
	}{
		{guest.ErrNotFound, abi.NotFound}, {guest.ErrInvalid, abi.Invalid}, {guest.ErrTooLarge, abi.TooLarge},
		{guest.ErrNoSpace, abi.NoSpace}, {guest.ErrUnavailable, abi.Unavailable}, {guest.ErrConflict, abi.Conflict},
		{guest.ErrCorrupt, abi.Corrupt}, {guest.ErrDenied, abi.Denied}, {guest.ErrUnsupported, abi.Unsupported},
	} {
		if errors.Is(err, e.err) {
			return e.code
		}
	}
	return abi.Internal
}

// words says what an operation is, without its key.
func words(op *abi.BatchOp) string {
	name := []string{abi.BatchGet: "get", abi.BatchSet: "set", abi.BatchDelete: "delete", abi.BatchTouch: "touch"}[op.Kind]
	if op.Kind != abi.BatchSet {
		return name
	}
	return fmt.Sprintf("%s of %d bytes, expires in %d ms, expect %d", name, len(op.Value), op.Expires-op.Now, op.Expect)
}

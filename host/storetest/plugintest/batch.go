package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// batched is a guest with session_batch, which a check calls with lists of its own.
type batched struct {
	remote
	cas, touches     bool
	maxKey, maxValue int
}

// result is that of an operation of a list.
type result struct {
	code abi.Code
	body []byte
}

func (r result) String() string {
	switch {
	case r.code != 0:
		return r.code.String()
	case r.body == nil:
		return "success"
	case len(r.body) > 40:
		return fmt.Sprintf("a value of %d bytes", len(r.body))
	}
	return fmt.Sprintf("the value %q", r.body)
}

// openBatched opens the guest, or skips the check if it takes one operation in a call.
func (h *harness) openBatched(p *storetest.Probe) batched {
	h.needsOpen(p)
	if !h.exports(abi.ExportBatch) {
		p.Skip("the guest does not export " + abi.ExportBatch)
	}
	b := batched{remote: h.openRouted(p, 1), cas: slices.Contains(h.info.Capabilities, abi.CapabilityCAS), maxKey: h.info.MaxKey, maxValue: h.info.MaxValue}
	if _, err := b.call(0, routedBatch, 0, "", storetest.Now); errors.Is(err, store.ErrUnsupported) {
		p.Skip("the guest does not have " + abi.ExportBatch)
	}
	_, err := b.Get(p.Context(), route(routedTouch, 0, 1, int64(storetest.Now+1), []byte("nothing")), storetest.Now)
	b.touches = !errors.Is(err, store.ErrUnsupported)
	return b
}

func get(key string, now store.Millis) abi.BatchOp {
	return abi.BatchOp{Kind: abi.BatchGet, Key: []byte(key), Now: int64(now)}
}

func set(key string, value []byte, expires, now store.Millis, expect int64) abi.BatchOp {
	return abi.BatchOp{Kind: abi.BatchSet, Key: []byte(key), Value: value, Expires: int64(expires), Now: int64(now), Expect: expect}
}

func remove(key string, now store.Millis) abi.BatchOp {
	return abi.BatchOp{Kind: abi.BatchDelete, Key: []byte(key), Now: int64(now)}
}

func touch(key string, expires, now store.Millis) abi.BatchOp {
	return abi.BatchOp{Kind: abi.BatchTouch, Key: []byte(key), Expires: int64(expires), Now: int64(now)}
}

var kinds = map[uint32]string{abi.BatchGet: "get", abi.BatchSet: "set", abi.BatchDelete: "delete", abi.BatchTouch: "touch"}

// try calls session_batch with a list, and takes its answer apart.
func (b batched) try(ops []abi.BatchOp) ([]result, error) {
	var list []byte
	for i := range ops {
		list = abi.AppendBatchOp(list, &ops[i])
	}
	key := route(routedBatch, 0, 1, int64(len(list)), nil)
	if err := b.Set(b.p.Context(), store.Write{Key: key, Value: list, Now: storetest.Now}); err != nil {
		return nil, err
	}
	answer, err := b.Get(b.p.Context(), key, storetest.Now)
	if err != nil {
		return nil, err
	}
	var results []result
	for len(answer) > 0 {
		code, body, rest, ok := abi.NextBatchResult(answer)
		if !ok {
			b.p.Failf("a list of results", "session_batch of %d operations: the list ends in %d bytes that are not a result", len(ops), len(rest))
		}
		r := result{code: code}
		if len(results) < len(ops) && ops[len(results)].Kind == abi.BatchGet && code == 0 {
			r.body = append([]byte{}, body...)
		} else if code == 0 && len(body) > 0 {
			b.p.Failf("nothing behind a code of 0, except for a get", "session_batch: result %d has %d bytes", len(results), len(body))
		}
		if code > 0 {
			b.p.Failf("a code that is not above 0", "session_batch: result %d has the code %d", len(results), code)
		}
		results, answer = append(results, r), rest
	}
	if len(results) != len(ops) {
		b.p.Failf(fmt.Sprint(len(ops), ", one for each operation"), "session_batch: %d results", len(results))
	}
	return results, nil
}

// do is try, which must succeed. What the guest leaves to the host is done by itself, as a host does
// it.
func (b batched) do(ops ...abi.BatchOp) []result {
	results, err := b.try(ops)
	if err != nil {
		b.p.Failf("a list of results", "session_batch of %d operations: %s", len(ops), err)
	}
	for i := range results {
		if results[i].code == abi.Unsupported {
			results[i] = b.alone(&ops[i])
		}
	}
	return results
}

// alone makes the call that an operation stands for.
func (b batched) alone(op *abi.BatchOp) result {
	now := store.Millis(op.Now)
	var body []byte
	var err error
	switch op.Kind {
	case abi.BatchGet:
		body, err = b.Get(b.p.Context(), route(routedGet, 0, 1, 0, op.Key), now)
	case abi.BatchSet:
		err = b.trySet(0, string(op.Key), op.Value, store.Millis(op.Expires), now, op.Expect)
	case abi.BatchDelete:
		if _, err = b.Get(b.p.Context(), route(routedDelete, 0, 1, 0, op.Key), now); errors.Is(err, store.ErrNotFound) {
			err = nil
		}
	case abi.BatchTouch:
		_, err = b.Get(b.p.Context(), route(routedTouch, 0, 1, op.Expires, op.Key), now)
	}
	code, _ := store.CodeOf(err)
	if err != nil && code == 0 {
		b.p.Failf("an answer", "session_%s by itself: %s", kinds[op.Kind], err)
	}
	return result{code, body}
}

// expects makes a call for several operations and compares each result.
func (b batched) expects(ops []abi.BatchOp, want []result) {
	for i, got := range b.do(ops...) {
		if got.code != want[i].code || !bytes.Equal(got.body, want[i].body) {
			b.p.Failf(want[i].String(), "session_batch of %d operations: operation %d, a %s of %q at T+%d: %s", len(ops), i, kinds[ops[i].Kind],
				ops[i].Key, ops[i].Now-int64(storetest.Now), got)
		}
	}
}

// step is an operation of a list with what is expected of it.
type step struct {
	op   abi.BatchOp
	want result
}

func (b batched) runs(steps ...step) {
	var ops []abi.BatchOp
	var want []result
	for _, s := range steps {
		ops, want = append(ops, s.op), append(want, s.want)
	}
	b.expects(ops, want)
}

var succeeds = result{}

func finds(value []byte) result    { return result{body: value} }
func answers(code abi.Code) result { return result{code: code} }

package plugintest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// batchTests are about session_batch. A host makes such calls when several operations wait,
// so that nobody can say which; these checks make them.
func (h *harness) batchTests() []storetest.Test {
	const alone = "session_batch answers each operation as if it had been called alone"
	run := func(f func(b batched)) func(p *storetest.Probe) {
		return func(p *storetest.Probe) { f(h.openBatched(p)) }
	}
	test := func(name, requires string, f func(b batched)) storetest.Test {
		return storetest.Test{Name: "batch/" + name, Section: secOptional, Requires: requires, Run: run(f)}
	}
	return []storetest.Test{
		test("values", alone+": values are stored and found byte for byte", batched.checkValues),
		test("order", alone+", in the order of the list", batched.checkOrder),
		test("codes", "a code of a list concerns one operation and says nothing of the others", batched.checkCodes),
		test("times", alone+", at its own time", batched.checkTimes),
		test("expiry", alone+": a record expires, and a write whose expiry has passed removes", batched.checkExpiry),
		test("expect", alone+": conditions hold, also over what the list has stored", batched.checkExpect),
		test("touch", alone+": a touch gives a record a new expiry, and creates none", batched.checkTouch),
		test("limits", alone+": TOO_LARGE above the guest's limits, and nothing is stored", batched.checkLimits),
		test("most", "a list has 1 to 256 operations", batched.checkMost),
		test("large", "a value that has no room in the results is answered with UNSUPPORTED, and a call by itself returns it", batched.checkLarge),
		test("copies", "a guest that keeps a key or value of a list copies it", batched.checkCopies),
		test("between", "what a list has done is what later calls see, and the other way round", batched.checkBetween),
		test("random", alone, batched.checkRandom),
		{Name: "batch/saved", Section: secOptional, Requires: "writes of a list are made durable like any others", Run: func(p *storetest.Probe) { h.checkBatchSaved(p) }},
		{Name: "batch/memory", Section: secLimits, Requires: "a guest stays within memory_limit however long it runs", Run: func(p *storetest.Probe) { h.checkBatchMemory(p) }},
	}
}

const batchNow = storetest.Now

func (b batched) checkValues() {
	values := [][]byte{{}, {0}, storetest.Value(1, 8), storetest.Value(2, 9), storetest.Value(3, 300), storetest.Value(4, 2000), []byte("\x00\xff\x00 not a number")}
	var sets, gets []step
	for i, value := range values {
		key := fmt.Sprint("key ", i)
		sets = append(sets, step{set(key, value, 0, batchNow, store.Any), succeeds})
		gets = append(gets, step{get(key, batchNow), finds(value)}, step{get("no "+key, batchNow), answers(abi.NotFound)})
	}
	b.runs(sets...)
	b.runs(gets...)
	b.runs(append(sets, gets...)...)
}

func (b batched) checkOrder() {
	first, second := storetest.Value(1, 30), storetest.Value(2, 50)
	b.runs(
		step{get("key", batchNow), answers(abi.NotFound)},
		step{set("key", first, 0, batchNow, store.Any), succeeds},
		step{get("key", batchNow), finds(first)},
		step{get("other", batchNow), answers(abi.NotFound)},
		step{set("other", second, 0, batchNow, store.Any), succeeds},
		step{set("key", second, 0, batchNow, store.Any), succeeds},
		step{get("key", batchNow), finds(second)},
		step{get("key", batchNow), finds(second)},
		step{remove("key", batchNow), succeeds},
		step{get("key", batchNow), answers(abi.NotFound)},
		step{get("other", batchNow), finds(second)},
		step{set("key", first, 0, batchNow, store.Any), succeeds},
		step{get("key", batchNow), finds(first)},
	)
}

func (b batched) checkCodes() {
	value := storetest.Value(1, 30)
	b.runs(
		step{set("a", value, 0, batchNow, store.Any), succeeds},
		step{get("none", batchNow), answers(abi.NotFound)},
		step{set("b", value, 0, batchNow, store.Any), succeeds},
		step{remove("none", batchNow), succeeds},
		step{get("a", batchNow), finds(value)},
		step{get("none", batchNow), answers(abi.NotFound)},
	)
	b.runs(step{get("a", batchNow), finds(value)}, step{get("b", batchNow), finds(value)})
}

func (b batched) checkTimes() {
	value := storetest.Value(1, 30)
	b.runs(
		step{set("key", value, batchNow+100, batchNow, store.Any), succeeds},
		step{get("none", batchNow), answers(abi.NotFound)},
		step{get("key", batchNow+99), finds(value)},
		step{set("late", value, batchNow+300, batchNow+99, store.Any), succeeds},
		step{get("key", batchNow+100), answers(abi.NotFound)},
		step{get("late", batchNow+100), finds(value)},
		step{get("late", batchNow+299), finds(value)},
		step{get("late", batchNow+300), answers(abi.NotFound)},
	)
}

func (b batched) checkExpiry() {
	value := storetest.Value(1, 30)
	b.runs(
		step{set("a", value, batchNow+100, batchNow, store.Any), succeeds},
		step{set("b", value, 0, batchNow, store.Any), succeeds},
		step{set("c", value, 0, batchNow, store.Any), succeeds},
		step{set("c", value, batchNow, batchNow, store.Any), succeeds},
		step{set("d", value, batchNow-1, batchNow, store.Any), succeeds},
	)
	b.sees("a list", 0, "a", value, batchNow+99)
	b.sees("a list", 0, "c", nil, batchNow+99)
	b.sees("a list", 0, "d", nil, batchNow+99)
	b.sees("a list", 0, "a", nil, batchNow+100)
	b.sees("a list", 0, "b", value, batchNow+100)
}

func (b batched) checkExpect() {
	if !b.cas {
		b.p.Skip("the guest does not describe the capability " + abi.CapabilityCAS)
	}
	first, second, third := storetest.Value(1, 30), storetest.Value(2, 30), storetest.Value(3, 30)
	b.runs(
		step{set("key", first, 0, batchNow, 7), answers(abi.Conflict)},
		step{set("key", first, 0, batchNow, store.Absent), succeeds},
		step{set("key", second, 0, batchNow, store.Absent), answers(abi.Conflict)},
		step{get("key", batchNow), finds(first)},
		step{set("key", second, 0, batchNow, 1), succeeds},
		step{set("key", third, 0, batchNow, 1), answers(abi.Conflict)},
		step{get("key", batchNow), finds(second)},
		step{set("other", first, 0, batchNow, store.Absent), succeeds},
		step{set("key", third, 0, batchNow, 2), succeeds},
		step{set("key", third, batchNow, batchNow, 2), answers(abi.Conflict)},
		step{set("other", third, batchNow, batchNow, 1), succeeds},
		step{get("other", batchNow), answers(abi.NotFound)},
		step{get("key", batchNow), finds(third)},
	)
	b.sees("a list", 0, "key", third, batchNow)
	b.sees("a list", 0, "other", nil, batchNow)
}

func (b batched) checkTouch() {
	value := storetest.Value(1, 30)
	b.set(0, "key", value, batchNow+100, batchNow, store.Any)
	b.did(0, routedTouch, int64(batchNow+200), "key", batchNow) // or the check is skipped
	b.runs(
		step{touch("none", batchNow+500, batchNow), answers(abi.NotFound)},
		step{touch("key", batchNow+300, batchNow), succeeds},
		step{set("past", value, 0, batchNow, store.Any), succeeds},
		step{touch("past", batchNow, batchNow), succeeds},
		step{get("past", batchNow), answers(abi.NotFound)},
		step{get("none", batchNow), answers(abi.NotFound)},
		step{get("key", batchNow+299), finds(value)},
		step{get("key", batchNow+300), answers(abi.NotFound)},
	)
}

func (b batched) checkLimits() {
	value := storetest.Value(1, 30)
	largest := string(make([]byte, b.maxKey))
	steps := []step{{set(largest, value, 0, batchNow, store.Any), succeeds}, {get(largest, batchNow), finds(value)}}
	if b.maxKey < abi.MaxKey {
		long := string(make([]byte, b.maxKey+1))
		steps = append(steps, step{set(long, value, 0, batchNow, store.Any), answers(abi.TooLarge)}, step{get(long, batchNow), answers(abi.NotFound)},
			step{remove(long, batchNow), succeeds}, step{get(largest, batchNow), finds(value)})
	}
	b.runs(steps...)
	if b.maxValue == abi.MaxValue {
		return
	}
	b.set(0, "key", value, 0, batchNow, store.Any)
	results, err := b.try([]abi.BatchOp{set("key", make([]byte, b.maxValue+1), 0, batchNow, store.Any)})
	if errors.Is(err, store.ErrNoSpace) {
		return // the list has no room in its buffer
	}
	if err != nil || results[0].code != abi.TooLarge {
		b.p.Failf("TOO_LARGE", "session_batch with a value of %d bytes: %v, %s", b.maxValue+1, results, outcome(err))
	}
	b.sees("a list", 0, "key", value, batchNow)
}

// checkMost writes and reads with lists of every length, with few records.
func (b batched) checkMost() {
	for _, n := range []int{1, 2, 255, abi.MaxBatch} {
		var steps []step
		for i := range n {
			key, value := fmt.Sprint("key ", i%storetest.LeastRecords), storetest.Value(uint64(n+i), 20)
			if i%2 == 0 {
				steps = append(steps, step{set(key, value, 0, batchNow, store.Any), succeeds})
				continue
			}
			steps = append(steps, step{get(fmt.Sprint("key ", (i-1)%storetest.LeastRecords), batchNow), finds(storetest.Value(uint64(n+i-1), 20))})
		}
		b.runs(steps...)
	}
}

// checkLarge reads values again and again, until they have no room in one list of results.
func (b batched) checkLarge() {
	size := min(b.maxValue, 1<<20)
	value := storetest.Value(1, size)
	if err := b.trySet(0, "large", value, 0, batchNow, store.Any); err != nil {
		if errors.Is(err, store.ErrNoSpace) {
			size = 4096
			value = storetest.Value(1, size)
			b.set(0, "large", value, 0, batchNow, store.Any)
		} else {
			b.p.Failf("success", "session_set of %d bytes: %s", size, err)
		}
	}
	small := storetest.Value(2, 20)
	for _, n := range []int{2, 16, abi.MaxBatch} {
		steps := []step{{set("small", small, 0, batchNow, store.Any), succeeds}}
		for len(steps) < n-1 {
			steps = append(steps, step{get("large", batchNow), finds(value)})
		}
		b.runs(append(steps, step{get("small", batchNow), finds(small)})...)
	}
}

func (b batched) checkCopies() {
	list := func(revision uint64) (steps []step) {
		for i := range storetest.LeastRecords / 2 {
			steps = append(steps, step{set(fmt.Sprint("key ", revision, i), storetest.Value(revision, 40), 0, batchNow, store.Any), succeeds})
		}
		return steps
	}
	b.runs(list(1)...)
	b.runs(list(2)...)
	for i := range storetest.LeastRecords / 2 {
		b.sees("another list in the same place", 0, fmt.Sprint("key ", 1, i), storetest.Value(1, 40), batchNow)
		b.sees("a list", 0, fmt.Sprint("key ", 2, i), storetest.Value(2, 40), batchNow)
	}
}

func (b batched) checkBetween() {
	for i := range 5 {
		key := fmt.Sprint("key ", i)
		first, second := storetest.Value(uint64(2*i+1), 30), storetest.Value(uint64(2*i+2), 30)
		b.set(0, key, first, 0, batchNow, store.Any)
		b.runs(step{get(key, batchNow), finds(first)}, step{get("none", batchNow), answers(abi.NotFound)}, step{get(key, batchNow), finds(first)})
		b.set(0, key, second, 0, batchNow, store.Any)
		b.runs(step{get(key, batchNow), finds(second)}, step{set(key, first, 0, batchNow, store.Any), succeeds})
		b.sees("a list", 0, key, first, batchNow)
		b.did(0, routedDelete, 0, key, batchNow)
		b.runs(step{get(key, batchNow), answers(abi.NotFound)}, step{set(key, second, 0, batchNow, store.Any), succeeds}, step{remove(key, batchNow), succeeds})
		b.sees("a list", 0, key, nil, batchNow)
	}
}

// checkRandom compares lists of every kind of operation with a store that makes single calls.
func (b batched) checkRandom() {
	model, random, now := store.NewMemory(), b.p.Random(), batchNow
	for range max(20, b.p.Options().Soak/200) {
		var ops []abi.BatchOp
		var want []result
		for range 1 + random.IntN(30) {
			now += store.Millis(random.IntN(3))
			op := b.randomOp(random, now)
			ops, want = append(ops, op), append(want, modelled(b.p.Context(), model, &op))
		}
		b.expects(ops, want)
	}
}

func (b batched) randomOp(random *rand.Rand, now store.Millis) abi.BatchOp {
	key := fmt.Sprint("key ", random.IntN(storetest.LeastRecords/2))
	expires := []store.Millis{0, now - 1, now, now + 1, now + 5, now + 50}[random.IntN(6)]
	switch random.IntN(6) {
	case 0, 1:
		return get(key, now)
	case 2:
		return remove(key, now)
	case 3:
		if b.touches {
			return touch(key, expires, now)
		}
	}
	expect := int64(store.Any)
	if b.cas {
		expect = []int64{store.Any, store.Absent, 1, 2, 3}[random.IntN(5)]
	}
	return set(key, storetest.Value(1+random.Uint64N(3), random.IntN(200)), expires, now, expect)
}

func modelled(ctx context.Context, m *store.Memory, op *abi.BatchOp) (r result) {
	var err error
	now := store.Millis(op.Now)
	switch op.Kind {
	case abi.BatchGet:
		r.body, err = m.Get(ctx, op.Key, now)
	case abi.BatchSet:
		err = m.Set(ctx, store.Write{Key: op.Key, Value: op.Value, Expires: store.Millis(op.Expires), Now: now, Expect: op.Expect})
	case abi.BatchDelete:
		err = m.Delete(ctx, op.Key, now)
	case abi.BatchTouch:
		err = m.Touch(ctx, op.Key, store.Millis(op.Expires), now)
	}
	r.code, _ = store.CodeOf(err)
	return r
}

// checkBatchSaved opens a copy of the files that a save has left.
func (h *harness) checkBatchSaved(p *storetest.Probe) {
	b := h.openBatched(p)
	if !h.mounted || h.options.Namespace != "" {
		p.Skip("the guest keeps no files: only its backend knows what is durable")
	}
	value := storetest.Value(1, 40)
	b.set(0, "gone", value, 0, batchNow, store.Any)
	b.did(0, routedSave, 0, "", batchNow)
	b.runs(step{set("kept", value, 0, batchNow, store.Any), succeeds}, step{remove("gone", batchNow), succeeds}, step{set("also", value, 0, batchNow, store.Any), succeeds})
	b.did(0, routedSave, 0, "", batchNow)
	copied := p.Dir()
	if err := os.CopyFS(copied, os.DirFS(b.dir)); err != nil {
		p.Skip("the directory could not be copied: " + err.Error())
	}
	again, err := h.openModule(p.Context(), h.wasm, h.config(storetest.Setup{Dir: copied, Shards: 1}))
	if err != nil {
		p.Fail("with the files that session_save left: "+err.Error(), "a plugin that opens")
	}
	p.Cleanup(func() error { return again.Close(p.Context()) })
	for key, want := range map[string]error{"kept": nil, "also": nil, "gone": store.ErrNotFound} {
		if _, err := again.Get(p.Context(), []byte(key), batchNow); !errors.Is(err, want) {
			p.Failf(outcome(want), "after a list, session_save and the end of the host, session_get of %q: %s", key, outcome(err))
		}
	}
}

// checkBatchMemory repeats lists.
func (h *harness) checkBatchMemory(p *storetest.Probe) {
	b := h.openBatched(p)
	h.watched = &watched{b.guest, "lists of operations", b.Stats().Memory}
	h.plateau(p, b.guest, leakLeast, "lists of operations", func(i int) {
		key, other := fmt.Sprint("key ", i%5), fmt.Sprint("key ", (i+3)%5)
		results, err := b.try([]abi.BatchOp{set(key, storetest.Value(uint64(i+1), i%50*20), 0, batchNow, store.Any), get(key, batchNow), get("none", batchNow),
			remove(other, batchNow), set(other, storetest.Value(1, 30), 0, batchNow, store.Any)})
		if errors.Is(err, store.ErrNoSpace) {
			h.watched.full(p, err)
		}
		if err != nil || results[0].code != 0 {
			p.Failf("success", "session_batch: %s", outcome(errors.Join(err, store.FromCode(results[0].code))))
		}
	})
}

package plugintest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// idleTests require that memory reaches a plateau while nothing is added. One check
// runs all operations in turn, and finds out which is to blame only if there is a
// leak: checking them one by one would take many times as long.
func (h *harness) idleTests() []storetest.Test {
	return []storetest.Test{
		{Name: "memory/idle", Section: secLimits, Requires: "a guest stays within memory_limit however long it runs: operations that leave everything unchanged take no memory",
			Run: h.idle},
	}
}

// idleOperation leaves everything unchanged, except for a record that expires in the
// next millisecond.
type idleOperation struct {
	name string
	do   func(ctx context.Context, g *guest, now store.Millis) error
}

const idleKeys = 12

func idleOperations() []idleOperation {
	passing, living := []byte("passing"), []byte("living 1")
	may := func(err error, allowed ...error) error {
		for _, a := range append(allowed, store.ErrUnsupported) {
			if errors.Is(err, a) {
				return nil
			}
		}
		return err
	}
	// expire stores a record that expires a millisecond later, over the previous one.
	expire := func(ctx context.Context, g *guest, now store.Millis, expect int64) error {
		return g.Set(ctx, store.Write{Key: passing, Value: storetest.Value(5, 60), Expires: now + 1, Now: now, Expect: expect})
	}
	return []idleOperation{
		{"save", func(ctx context.Context, g *guest, now store.Millis) error { return g.Save(ctx, now) }},
		{"sweep", func(ctx context.Context, g *guest, now store.Millis) error {
			_, err := g.Sweep(ctx, 4, now)
			return may(err)
		}},
		{"get of an expired record", func(ctx context.Context, g *guest, now store.Millis) error {
			if err := expire(ctx, g, now, store.Any); err != nil {
				return err
			}
			_, err := g.Get(ctx, passing, now+1)
			return may(err, store.ErrNotFound)
		}},
		{"touch of an expired record", func(ctx context.Context, g *guest, now store.Millis) error {
			if err := expire(ctx, g, now, store.Absent); err != nil {
				return err
			}
			return may(g.Touch(ctx, passing, now+5, now+1), store.ErrNotFound)
		}},
		{"replacement of an expired record", func(ctx context.Context, g *guest, now store.Millis) error {
			if err := expire(ctx, g, now, store.Absent); err != nil {
				return err
			}
			return may(g.Set(ctx, store.Write{Key: passing, Value: storetest.Value(6, 50), Now: now + 1, Expect: 5}), store.ErrConflict)
		}},
		{"delete of an expired record", func(ctx context.Context, g *guest, now store.Millis) error {
			if err := expire(ctx, g, now, store.Absent); err != nil {
				return err
			}
			return g.Delete(ctx, passing, now+1)
		}},
		{"write that removes nothing", func(ctx context.Context, g *guest, now store.Millis) error {
			return g.Set(ctx, store.Write{Key: []byte("absent"), Value: storetest.Value(2, 50), Expires: now, Now: now})
		}},
		{"keys, abandoned early", func(ctx context.Context, g *guest, now store.Millis) error {
			for _, err := range g.Keys(ctx, now) {
				return may(err)
			}
			return nil
		}},
		{"snapshot, abandoned early", func(ctx context.Context, g *guest, now store.Millis) error {
			for _, err := range g.Snapshot(ctx, now) {
				return may(err)
			}
			return nil
		}},
		{"restore of an expired record", func(ctx context.Context, g *guest, now store.Millis) error {
			return may(g.Restore(ctx, func(yield func(store.Record, error) bool) {
				_ = yield(store.Record{Key: passing, Value: storetest.Value(1, 60), Expires: now - 1}, nil)
			}, now))
		}},
		{"stats", func(_ context.Context, g *guest, now store.Millis) error { g.Stats(); return nil }},
		{"touch of a record", func(ctx context.Context, g *guest, now store.Millis) error {
			return may(g.Touch(ctx, living, 0, now), store.ErrNotFound)
		}},
	}
}

// openIdle opens the guest with a few records.
func (h *harness) openIdle(p *storetest.Probe) *guest {
	s := p.Open(storetest.Setup{Shards: 1})
	// Long keys, so that a few of them make more than one chunk.
	for i := range idleKeys {
		key := fmt.Sprintf("living %d", i)
		if i > 1 {
			key += strings.Repeat(" ", min(h.info.MaxKey, 500)-len(key))
		}
		s.Put([]byte(key), storetest.Value(1, 200))
	}
	return s.Target().(*guest)
}

func (h *harness) idle(p *storetest.Probe) {
	operations := idleOperations()
	run := func(g *guest, ops []idleOperation, i int) {
		o := ops[i%len(ops)]
		if err := o.do(p.Context(), g, storetest.Now+2*store.Millis(i)); err != nil {
			p.Fail(o.name+": "+err.Error(), "success")
		}
	}
	g := h.openIdle(p)
	began, at := time.Now(), 0
	round := func(calls int) int64 {
		for range calls {
			if at%1000 == 0 && p.Context().Err() != nil {
				p.Skip("the run was ended: " + p.Context().Err().Error())
			}
			run(g, operations, at)
			at++
		}
		return g.Stats().Memory
	}
	// A leak may be in one of many operations and must fill whole pages to show. So a
	// round is long, and the memory is compared with that at the start.
	first := round(10 * len(operations))
	calls := 2 * leakRound
	if each := max(time.Since(began)/time.Duration(at), 1); h.mounted {
		calls = min(calls, int(firstRound/each)) // records that expire go to the disk
	}
	limit := max(leastLeak, min(3*first, (g.Info().ShardMemory-first)/2))
	for before := first; ; {
		after := round(max(calls, len(operations)))
		switch grown := after - first; {
		case grown > limit:
			p.Failf("that it reaches a plateau", "memory grew from %d bytes to %d bytes in %d operations that leave everything unchanged, and went on growing%s",
				first, after, at, h.culprits(p, operations, run))
		case after <= before:
			return
		case time.Since(began) > leakTime:
			p.Skip(fmt.Sprintf("there was not enough time to tell: memory grew from %d to %d bytes in %d calls", first, after, at))
		}
		before = after
	}
}

// culprits says which of the operations make memory grow when they are repeated alone.
func (h *harness) culprits(p *storetest.Probe, operations []idleOperation, run func(*guest, []idleOperation, int)) string {
	var names []string
	for i, o := range operations {
		g := h.openIdle(p)
		var before int64
		for at := range leakCalls / 2 {
			if at == leakCalls/8 {
				before = g.Stats().Memory
			}
			run(g, operations[i:i+1], at)
		}
		if g.Stats().Memory-before >= leastLeak/4 {
			names = append(names, o.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; alone it does with: " + strings.Join(names, ", ")
}

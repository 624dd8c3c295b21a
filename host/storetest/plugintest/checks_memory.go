package plugintest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

const (
	// leakCalls is how often one operation is repeated at first, or fewer times
	// if that takes longer than firstRound.
	leakCalls  = 20_000
	leakLeast  = 100
	firstRound = 300 * time.Millisecond
	// leakRound is how many calls without growth show that memory is stable:
	// memory grows by pages, which a small leak takes a while to fill. firstRound
	// limits the time of these, too.
	leakRound = 8192
	// leakTime ends a check that cannot decide: an engine whose every write goes
	// to the disk.
	leakTime      = 4 * time.Second
	leakTimeFiles = time.Second
	// leastLeak is how much memory must at least grow to count as a leak. It must
	// also grow by three quarters of what the guest may have. A guest may take
	// that much for any purpose, above all for a garbage collector's heap, and
	// need not take it at once.
	leastLeak = 1 << 20
	// smallMemory is what a guest may have while leaks are looked for, if it
	// opens with that: leaks fill it sooner. A guest that has megabytes from the
	// start gets a multiple.
	smallMemory   = 8 << 20
	memoryOfStart = 6
)

// watched is the guest whose memory is watched, what it does meanwhile, and how
// much memory it had before.
type watched struct {
	guest  *guest
	what   string
	before int64
}

// full fails the check if the guest has no room left and its memory has grown: it
// holds no more than before.
func (w *watched) full(p *storetest.Probe, err error) {
	if now := w.guest.Stats().Memory; now-w.before >= leastLeak {
		p.Failf("that it reaches a plateau", "memory grew from %d to %d bytes (%s), and then: %s", w.before, now, w.what, err)
	}
}

// openSmall opens the guest with little memory.
func (h *harness) openSmall(p *storetest.Probe) *storetest.Subject {
	if h.options.Config.MemoryLimit == 0 && h.opened {
		start := h.keepers[0].Stats().Memory / int64(h.info.Shards)
		setup := storetest.Setup{Shards: 1, MemoryLimit: max(smallMemory, memoryOfStart*start)}
		if setup.MemoryLimit < memoryOfShard {
			if s, err := p.TryOpen(setup); err == nil {
				return s
			}
		}
	}
	return p.Open(storetest.Setup{Shards: 1})
}

// plateau requires that memory stops growing while step is called, n times at
// first and then twice as many times in each round. It fails if memory grew in
// every round, and by most of what the guest may have.
func (h *harness) plateau(p *storetest.Probe, g *guest, n int, what string, step func(i int)) {
	started := time.Now()
	most := leakTime
	if h.mounted {
		most = leakTimeFiles
	}
	at := 0
	round := func(calls int) int64 {
		for range calls {
			if at%1000 == 0 {
				if err := p.Context().Err(); err != nil {
					p.Skip("the run was ended: " + err.Error())
				}
				p.Progress(at, max(n*2, at+1))
			}
			step(at)
			at++
		}
		return g.Stats().Memory
	}
	first := round(n)
	limit := max(leastLeak, (g.Info().ShardMemory-first)*3/4)
	for before := first; ; {
		after := round(at)
		grown := after - first
		enough := at >= 2*leakRound || time.Since(started) > firstRound
		switch {
		case after <= before && enough:
			return
		case grown > limit:
			p.Failf("that it reaches a plateau", "memory grew from %d bytes after %d calls to %d bytes after %d calls (%s), about %.1f bytes a call, and went on growing",
				first, n, after, at, what, float64(grown)/float64(at-n))
		case time.Since(started) > most:
			p.Skip(fmt.Sprintf("there was not enough time to tell: memory grew from %d to %d bytes in %d calls", first, after, at))
		}
		before = after
	}
}

// memoryTests require that memory reaches a plateau.
func (h *harness) memoryTests() []storetest.Test {
	const now = storetest.Now
	const reuses = "memory that is no longer needed is used again: a guest stays within memory_limit however long it runs"
	keys := make([][]byte, 12) // so few that every guest holds them
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "session %d", i)
	}
	key := func(i int) []byte { return keys[i%len(keys)] }
	bodies := make([][]byte, 50)
	for i := range bodies {
		bodies[i] = storetest.Value(uint64(i+1), 8+i*i%1500)
	}
	must := func(p *storetest.Probe, err error, also ...error) {
		for _, a := range also {
			if errors.Is(err, a) {
				return
			}
		}
		if errors.Is(err, store.ErrNoSpace) {
			h.watched.full(p, err)
		}
		if err != nil {
			p.Fail(h.inWords(err), "success")
		}
	}
	// leak makes a check that repeats one thing very often.
	leak := func(name, export, what string, prepare func(p *storetest.Probe, g *guest), step func(ctx context.Context, p *storetest.Probe, g *guest, i int)) storetest.Test {
		return storetest.Test{Name: "memory/" + name, Section: secLimits, Requires: reuses, Run: func(p *storetest.Probe) {
			if export != "" && !h.exports(export) {
				p.Skip("the guest does not export " + export)
			}
			g := h.openSmall(p).Target().(*guest)
			h.watched = &watched{g, what, g.Stats().Memory}
			if prepare != nil {
				prepare(p, g)
			}
			ctx := p.Context()
			started := time.Now()
			for i := range leakLeast {
				step(ctx, p, g, i)
			}
			each := max(time.Since(started)/leakLeast, 1)
			n := max(leakLeast, min(leakCalls, p.Options().Soak/5, int(firstRound/each)))
			h.plateau(p, g, n, what, func(i int) { step(ctx, p, g, leakLeast+i) })
		}}
	}
	fill := func(p *storetest.Probe, g *guest) {
		for i, key := range keys {
			must(p, g.Set(p.Context(), store.Write{Key: key, Value: bodies[i], Expires: now + 1<<40, Now: now}))
		}
	}
	absent := []byte("absent")
	return []storetest.Test{
		leak("get", "", "get of records", fill, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			_, err := g.Get(ctx, key(i), now)
			must(p, err)
		}),
		leak("get-absent", "", "get of absent records", fill, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			_, err := g.Get(ctx, absent, now)
			must(p, err, store.ErrNotFound)
		}),
		leak("set-same-size", "", "set over a value of the same size", nil, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			must(p, g.Set(ctx, store.Write{Key: key(i), Value: bodies[i%len(keys)], Now: now}))
		}),
		leak("set-other-size", "", "set over values of other sizes", nil, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			must(p, g.Set(ctx, store.Write{Key: key(i), Value: bodies[i*7%len(bodies)], Now: now}))
		}),
		leak("set-conflict", "", "set that is refused with CONFLICT", fill, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			expect := int64(store.Absent)
			if i%2 == 0 {
				expect = 1 << 40
			}
			must(p, g.Set(ctx, store.Write{Key: key(i), Value: bodies[i%len(bodies)], Now: now, Expect: expect}), store.ErrConflict)
		}),
		leak("set-expired", "", "set, and set with an expiry that has passed", nil, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			w := store.Write{Key: key(i / 2), Value: bodies[i/2%len(bodies)], Now: now}
			if i%2 == 1 {
				w.Expires = now
			}
			must(p, g.Set(ctx, w))
		}),
		leak("delete", "", "set and delete", nil, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			if i%2 == 0 {
				must(p, g.Set(ctx, store.Write{Key: key(i / 2), Value: bodies[i/2%len(bodies)], Now: now}))
			} else {
				must(p, g.Delete(ctx, key(i/2), now))
			}
		}),
		leak("delete-absent", "", "delete of absent records", fill, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			must(p, g.Delete(ctx, absent, now))
		}),
		leak("touch", "", "touch of stored and absent records", fill, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			if i%4 == 0 {
				must(p, g.Touch(ctx, absent, now+10, now), store.ErrNotFound)
			} else {
				must(p, g.Touch(ctx, key(i), now+1<<40+store.Millis(i), now))
			}
		}),
		leak("touch-past", "", "set, and touch with an expiry that has passed", nil, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			if i%2 == 0 {
				must(p, g.Set(ctx, store.Write{Key: key(i / 2), Value: bodies[i/2%len(bodies)], Now: now}))
			} else {
				must(p, g.Touch(ctx, key(i/2), now, now))
			}
		}),
		leak("new-keys", "", "set of a new key and delete of an old one", nil, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			must(p, g.Set(ctx, store.Write{Key: fmt.Appendf(nil, "session %d", i), Value: bodies[i%len(bodies)], Now: now}))
			must(p, g.Delete(ctx, fmt.Appendf(nil, "session %d", i-len(keys)), now))
		}),
		leak("clear", "", "ten times set, and clear", nil, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			if i%11 == 10 {
				must(p, g.Clear(ctx, now))
			} else {
				must(p, g.Set(ctx, store.Write{Key: key(i), Value: bodies[i%len(bodies)], Now: now}))
			}
		}),
		leak("expire-and-save", "", "records that expire, and save", nil, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			must(p, g.Set(ctx, store.Write{Key: fmt.Appendf(nil, "session %d", i), Value: bodies[i%len(bodies)], Expires: now + store.Millis(i) + 6, Now: now + store.Millis(i)}))
			if i%6 == 5 {
				must(p, g.Save(ctx, now+store.Millis(i)))
				for swept := h.exports(abi.ExportSweep); swept; { // what save has left to it
					n, err := g.Sweep(ctx, 12, now+store.Millis(i))
					must(p, err, store.ErrUnsupported)
					swept = n > 0
				}
			}
		}),
		leak("expire-and-sweep", abi.ExportSweep, "records that expire, and sweep", nil, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			must(p, g.Set(ctx, store.Write{Key: fmt.Appendf(nil, "session %d", i), Value: bodies[i%len(bodies)], Expires: now + store.Millis(i) + 6, Now: now + store.Millis(i)}))
			_, err := g.Sweep(ctx, 16, now+store.Millis(i))
			if errors.Is(err, store.ErrUnsupported) {
				p.Skip("the guest answers UNSUPPORTED")
			}
			must(p, err)
		}),
		leak("keys", abi.ExportKeys, "enumerations of keys", fill, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			for _, err := range g.Keys(ctx, now) {
				must(p, err, store.ErrUnsupported)
			}
		}),
		leak("snapshot", abi.ExportSnapshot, "snapshots", fill, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			for _, err := range g.Snapshot(ctx, now) {
				must(p, err, store.ErrUnsupported)
			}
		}),
		leak("restore", abi.ExportRestore, "restore over existing records", fill, func(ctx context.Context, p *storetest.Probe, g *guest, i int) {
			must(p, g.Restore(ctx, func(yield func(store.Record, error) bool) {
				_ = yield(store.Record{Key: key(i), Value: bodies[i*7%len(bodies)]}, nil) &&
					yield(store.Record{Key: key(i + 1), Value: bodies[i%len(bodies)], Expires: now}, nil)
			}, now))
		}),
		// It replaces the suite's own, which does not watch memory.
		{Name: "soak/mixed", Section: secLimits, Requires: "an instance answers correctly for as long as it lives; " + reuses,
			Run: func(p *storetest.Probe) {
				s := p.Open(storetest.Setup{Shards: 1})
				step, compare := p.Soak(s)
				h.plateau(p, s.Target().(*guest), p.Options().Soak/2, "a mixture of operations on some hundred records", func(int) { step() })
				compare()
			}},
	}
}

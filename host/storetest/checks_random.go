package storetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

func randomTests() []Test {
	return []Test{
		{Name: "random/sequences", Section: secResults, Requires: "whatever is called in any order, the answers are those of a map with expiry and revisions",
			Run: func(p *Probe) { sequences(p, 1) }},
		{Name: "soak/mixed", Section: secLife, Requires: "an instance answers correctly for as long as it lives",
			Run: func(p *Probe) {
				g := soaking(p, p.Store())
				for i := range p.Options().Soak {
					g.step()
					if i%1000 == 0 {
						p.Progress(i, p.Options().Soak)
					}
				}
				g.all()
			}},
	}
}

const (
	sequenceLength = 80
	// perStore is how many sequences are played in one store: opening a store can
	// cost more than a sequence.
	perStore = 10
	// mostTrials and mostTime bound how often, and for how long, parts of a
	// failing sequence are tried.
	mostTrials = 500
	mostTime   = 5 * time.Second
)

// sequences plays random sequences, a few in each store, which is cleared between
// them. A failing sequence is made as short as possible. With several hosts, each
// operation is that of one of them.
func sequences(p *Probe, hosts int) {
	random := p.Random()
	for i := 0; i < p.Options().Sequences; i += perStore {
		p.Progress(i, p.Options().Sequences)
		var ops []operation
		for j := i; j < min(i+perStore, p.Options().Sequences); j++ {
			if j > i {
				ops = append(ops, operation{kind: opClear})
			}
			part := generate(random, sequenceLength, sequenceWeights, len(sequenceKeys))
			for i := range part {
				if hosts > 1 {
					part[i].host = random.IntN(hosts)
				}
			}
			ops = append(ops, part...)
		}
		failed, done := p.try(ops, hosts)
		if failed == nil {
			continue
		}
		// Most often the last sequence fails by itself, too.
		candidate := ops[:done]
		if last := ops[(done-1)/(sequenceLength+1)*(sequenceLength+1) : done]; len(last) < len(candidate) {
			if f, _ := p.try(last, hosts); f != nil {
				candidate = last
			}
		}
		began := time.Now()
		short := shrink(candidate, operation.simpler, func(part []operation) bool {
			if p.Context().Err() != nil || time.Since(began) > mostTime {
				return false
			}
			f, _ := p.try(part, hosts)
			return f != nil
		}, mostTrials)
		if again, _ := p.try(short, hosts); again != nil {
			failed = again
		}
		failed.Expected += fmt.Sprintf("\n(%d random operations, shrunk to %d)", done, len(short))
		panic(failed)
	}
}

// try plays a sequence. It returns how the sequence failed, nil if it did not,
// and how many operations were done.
func (p *Probe) try(ops []operation, hosts int) (failed *Failure, done int) {
	if err := p.Context().Err(); err != nil {
		p.Skip("the run was ended: " + err.Error())
	}
	trial := &Probe{suite: p.suite, test: p.test}
	ended := trial.guard(func() {
		g := &play{p: trial, hosts: trial.hosts(hosts), m: newModel(), keys: sequenceKeys}
		for _, o := range ops {
			done++
			if g.do(o); done == len(ops) || o.kind == opClear {
				g.all()
			}
		}
	})
	if end := trial.guard(trial.end); ended == nil {
		ended = end
	}
	if s, ok := ended.(skipped); ok {
		panic(s)
	}
	failed, _ = ended.(*Failure)
	return failed, done
}

// sequenceKeys are few, so that operations concern the same keys, and easily
// confused.
var sequenceKeys = [][]byte{k("a"), k("ab"), k("a\x00"), k("A"), k("costarring"), k("liquid"), k("session 1"), k("session 2"),
	k("\xff\xff\xff\xff"), filled(1, 32), filled(2, 64)}

// weights are how often each kind of operation is drawn.
type weights [opAdvance + 1]int

var (
	sequenceWeights = weights{opGet: 20, opSet: 30, opDelete: 8, opTouch: 8, opClear: 1, opSave: 2, opSweep: 4, opKeys: 3,
		opSnapshot: 3, opRestore: 3, opReopen: 2, opAdvance: 12}
	soakWeights = weights{opGet: 450, opSet: 350, opDelete: 80, opTouch: 80, opSweep: 20, opAdvance: 20}
)

// generate draws operations.
func generate(random *rand.Rand, n int, w weights, keys int) []operation {
	ops := make([]operation, n)
	for i := range ops {
		ops[i] = draw(random, w, keys)
	}
	return ops
}

func draw(random *rand.Rand, w weights, keys int) operation {
	sum := 0
	for _, weight := range w {
		sum += weight
	}
	o := operation{key: random.IntN(keys), revision: uint64(random.Int64N(1<<40) + 1), amount: int64(random.IntN(8))}
	at := random.IntN(sum)
	for at >= w[o.kind] {
		at -= w[o.kind]
		o.kind++
	}
	switch random.IntN(8) {
	case 0:
		o.size = random.IntN(9)
	case 1:
		o.size = random.IntN(3000)
	default:
		o.size = 8 + random.IntN(120)
	}
	switch random.IntN(8) {
	case 0: // has expired, or expires now
		o.expires = -store.Millis(random.IntN(3))
		if o.expires == 0 {
			o.expires = -1000
		}
	case 1, 2, 3, 4:
		o.expires = store.Millis(random.IntN(20) + 1)
	}
	if o.expect = random.IntN(6); o.expect > 3 {
		o.expect = 0
	}
	return o
}

// soak is a long random sequence with more keys.
type soak struct {
	play
	random *rand.Rand
	done   int
}

const soakKeys = 400

// Soak returns two functions: step does one operation of the soak on the store,
// which must be empty, and on a model, and compares the results; compare compares
// everything that the store holds with the model.
func (p *Probe) Soak(s *Subject) (step, compare func()) {
	g := soaking(p, s)
	return g.step, g.all
}

func soaking(p *Probe, s *Subject) *soak {
	g := &soak{play: play{p: p, hosts: []*Subject{s}, s: s, m: newModel()}, random: p.Random()}
	for i := range p.Records(soakKeys, LeastRecords) {
		g.keys = append(g.keys, fmt.Appendf(nil, "session %d", i))
	}
	return g
}

func (g *soak) step() {
	o := draw(g.random, soakWeights, len(g.keys))
	if o.kind == opSet && o.expires > 0 {
		o.expires *= 50
	}
	g.do(o)
	if g.done++; g.done%10_000 == 0 {
		if g.p.suite.have&needDurable == 0 || g.done%50_000 == 0 {
			g.s.Save(g.m.now)
		}
		g.checkKeys()
		g.checkSnapshot()
	}
	if g.done%1000 == 0 && g.p.Context().Err() != nil {
		g.p.Skip("the run was ended: " + g.p.Context().Err().Error())
	}
}

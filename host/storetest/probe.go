package storetest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/waddle-sessions/waddle/host/storetest/internal/namespace"
)

const (
	// keptCalls is how many calls of a check are kept, in case it fails.
	keptCalls = 1024
	// shownCalls is how many of them a failure shows. At least lastCalls of
	// them are the last ones.
	shownCalls = 24
	lastCalls  = 6
)

// Probe is what a check works with. It opens stores, keeps the calls, and ends
// the check when something is wrong: its methods and those of [Subject] return
// only if all is well.
//
// The goroutines of [Probe.Together] may use a Probe at once.
type Probe struct {
	suite *suite
	test  *Test

	mu       sync.Mutex
	calls    []call // the last ones, in a ring once there are keptCalls
	number   int    // of all calls
	stores   int
	live     []*Subject
	cleanups []func() error
	ends     []func() error // of directories
	asked    bool           // the store was asked how many records it holds
}

// Context is the context of the run.
func (p *Probe) Context() context.Context { return p.suite.ctx }

// Options are the options of the run, with sizes and numbers filled in.
func (p *Probe) Options() Options { return p.suite.options }

// Random returns a source of random numbers that depends only on the seed and
// the name of the check.
func (p *Probe) Random() *rand.Rand { return p.random() }

// has reports whether the store has what a check needs.
func (p *Probe) has(n need) bool { return p.suite.have&n == n }

// Skip ends the check without a verdict.
func (p *Probe) Skip(reason string) { panic(skipped(reason)) }

// Fail ends the check as failed.
func (p *Probe) Fail(found, expected string) { panic(p.failure(found, expected)) }

// failAbout is Fail for a key that the last call does not name.
func (p *Probe) failAbout(key []byte, found, expected string) { panic(p.failure(found, expected, key)) }

// Failf is Fail with what was found as a format.
func (p *Probe) Failf(expected, format string, args ...any) {
	p.Fail(fmt.Sprintf(format, args...), expected)
}

// Progress reports how far a long check is.
func (p *Probe) Progress(done, total int) {
	p.suite.tell(Progress{Check: p.test.Name, Done: done, Total: total})
}

// failure makes a failure that shows the last calls and, of those before them,
// the ones that concern the key that the last one, or focus, is about.
func (p *Probe) failure(found, expected string, focus ...[]byte) *Failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &Failure{Calls: []Call{}, Found: found, Expected: expected, Section: p.test.Section, Seed: p.suite.options.Seed}
	at := func(back int) *call { return &p.calls[(p.number-1-back+2*keptCalls)%keptCalls] }
	if len(focus) == 0 && len(p.calls) > 0 && at(0).key != nil {
		focus = append(focus, at(0).key)
	}
	for back := range p.calls {
		if len(f.Calls) == shownCalls {
			break
		}
		if c := at(back); back < lastCalls || c.concerns(focus) {
			f.Calls = append(f.Calls, c.words())
		}
	}
	slices.Reverse(f.Calls)
	f.Omitted = p.number - len(f.Calls)
	return f
}

func (p *Probe) note(c call) {
	p.mu.Lock()
	if len(p.calls) < keptCalls {
		p.calls = append(p.calls, c)
	} else {
		p.calls[p.number%keptCalls] = c
	}
	p.number++
	p.mu.Unlock()
}

// forget drops the kept calls, for a check that starts over.
func (p *Probe) forget() {
	p.mu.Lock()
	p.calls, p.number = nil, 0
	p.mu.Unlock()
}

// Cleanup registers f to be called when the check ends, before directories are
// removed. An error fails the check.
func (p *Probe) Cleanup(f func() error) {
	p.mu.Lock()
	p.cleanups = append(p.cleanups, f)
	p.mu.Unlock()
}

// Dir makes a directory that is removed when the check ends.
func (p *Probe) Dir() string {
	dir, remove, err := makeDir(p.suite.options.Dir)
	if err != nil {
		p.Fail("no directory could be made: "+err.Error(), "a directory for the store")
	}
	p.mu.Lock()
	p.ends = append(p.ends, remove)
	p.mu.Unlock()
	return dir
}

func makeDir(parent string) (dir string, remove func() error, err error) {
	if parent != "" {
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return "", nil, err
		}
	}
	if dir, err = os.MkdirTemp(parent, "storetest-"); err != nil {
		return "", nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", nil, err
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// Open opens a store, in a directory and a namespace of its own if setup names none. The
// store is closed when the check ends, unless it was closed before.
func (p *Probe) Open(setup Setup) *Subject {
	s, err := p.TryOpen(setup)
	if err != nil {
		p.Fail("it does not open: "+err.Error(), "a store that opens")
	}
	return s
}

// TryOpen is Open for a check that expects an error.
func (p *Probe) TryOpen(setup Setup) (*Subject, error) {
	p.suite.look(p)
	if setup.Dir == "" {
		setup.Dir = p.Dir()
	}
	if setup.Namespace == "" {
		setup.Namespace = namespace.Of(setup.Dir)
	}
	p.mu.Lock()
	p.stores++
	number, beside := p.stores, 0
	for _, other := range p.live {
		if other.setup.Namespace == setup.Namespace && other.setup.Dir != setup.Dir {
			beside = other.number
			break
		}
	}
	p.mu.Unlock()
	target, err := p.suite.open(p.suite.ctx, setup)
	p.note(call{store: number, op: opOpen, setup: setup, beside: beside, err: err})
	if err != nil {
		return nil, err
	}
	s := &Subject{probe: p, number: number, target: target, setup: setup}
	p.mu.Lock()
	p.live = append(p.live, s)
	p.mu.Unlock()
	return s, nil
}

// Store opens a store with the target's own choices.
func (p *Probe) Store() *Subject { return p.Open(Setup{}) }

// Peer opens a store with the records of another one, as another host does that uses the
// same backend.
func (p *Probe) Peer(of *Subject) *Subject {
	return p.Open(Setup{Shards: of.setup.Shards, MemoryLimit: of.setup.MemoryLimit, Namespace: of.setup.Namespace})
}

// Together runs f in n goroutines at once, with numbers from 0, and waits for
// all. The first failure among them is the check's failure.
func (p *Probe) Together(n int, f func(i int)) {
	ended := make([]any, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { ended[i] = p.guard(func() { f(i) }) })
	}
	wait.Wait()
	for _, e := range ended {
		if e != nil {
			panic(e)
		}
	}
}

// end closes what is open and removes directories. A store that does not close
// fails the check.
func (p *Probe) end() {
	var failed any
	for i := len(p.live) - 1; i >= 0; i-- {
		p.live[i].abandon()
		if e := p.guard(p.live[i].Close); e != nil && failed == nil {
			failed = e
		}
	}
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		if err := p.cleanups[i](); err != nil && failed == nil {
			failed = p.failure(errorInWords(err), "success")
		}
	}
	for i := len(p.ends) - 1; i >= 0; i-- {
		// If a directory cannot be removed, that is not the store's fault.
		_ = p.ends[i]()
	}
	if failed != nil {
		panic(failed)
	}
}

// differ says how a value differs from the expected one.
func differ(found, expected []byte) string {
	at := 0
	for at < len(found) && at < len(expected) && found[at] == expected[at] {
		at++
	}
	switch {
	case len(found) == len(expected):
		return fmt.Sprintf("the value %s, which differs from byte %d on", bytesInWords(found), at)
	case at == min(len(found), len(expected)):
		return fmt.Sprintf("the value %s, %d bytes instead of %d", bytesInWords(found), len(found), len(expected))
	}
	return fmt.Sprintf("the value %s, %d bytes instead of %d, which differ from byte %d on", bytesInWords(found), len(found), len(expected), at)
}

func equal(a, b []byte) bool { return bytes.Equal(a, b) }

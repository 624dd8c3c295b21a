package storetest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/internal/namespace"
)

// need is what a check needs from a store beyond the required operations.
type need int

const (
	needSweep need = 1 << iota
	needKeys
	needSnapshot
	needRestore
	needTouch
	needClear
	needSave
	needClose
	needDurable
	needShared
)

// lacks says what a target lacks, "" for nothing.
func (n need) lacks(have need) string {
	for _, one := range []struct {
		need   need
		reason string
	}{
		{needSweep, "the store does not sweep"},
		{needKeys, "the store does not enumerate keys"},
		{needSnapshot, "the store does not give snapshots"},
		{needRestore, "the store does not restore snapshots"},
		{needTouch, "the store does not touch"},
		{needClear, "the store cannot be cleared"},
		{needSave, "the store has no Save"},
		{needClose, "the store has no Close"},
		{needDurable, "the store is not said to be durable"},
		{needShared, "the store is not said to be shared by several hosts"},
	} {
		if n&one.need != 0 && have&one.need == 0 {
			return one.reason
		}
	}
	return ""
}

// suite is one run.
type suite struct {
	ctx     context.Context
	open    Open
	options Options
	have    need
	looked  bool
	broken  error  // why it does not open
	blamed  string // the check that says so
	rooms   map[measure]int
	report  *Report
}

// run runs the chosen checks. Each goes through around, if there is one, which
// calls result once.
func run(ctx context.Context, open Open, options Options, around func(name string, result func() Result)) *Report {
	started := time.Now()
	s := &suite{ctx: ctx, open: open, options: options.withDefaults(), rooms: make(map[measure]int)}
	for s.options.Seed == 0 {
		s.options.Seed = rand.Uint64()
	}
	s.report = &Report{Target: options.Target, Seed: s.options.Seed, Results: []Result{}}
	if around == nil {
		around = func(_ string, result func() Result) { result() }
	}
	each := func(test Test, f func() Result) {
		around(test.Name, func() Result {
			r := f()
			s.report.Add(r)
			return r
		})
	}
	all := Combine(Tests(), options.More)
	if err := options.CheckPatterns(all); err != nil {
		misused := Misused(options.Target, err)
		each(Test{Name: misuse}, func() Result { return misused.Results[0] })
		misused.Seed, misused.Duration = s.options.Seed, time.Since(started)
		return misused
	}
	tests := choose(all, s.options)
	for i, test := range tests {
		each(test, func() Result {
			s.tell(Progress{Check: test.Name, Number: i + 1, Of: len(tests)})
			return s.one(test)
		})
	}
	s.report.Duration = time.Since(started)
	return s.report
}

// Combine puts more before all. A check in more replaces one of all with the same
// name, as Run does with [Options.More].
func Combine(all, more []Test) []Test {
	var before []Test
	for _, m := range more {
		if i := slices.IndexFunc(all, func(t Test) bool { return t.Name == m.Name }); i >= 0 {
			all[i] = m
		} else {
			before = append(before, m)
		}
	}
	return append(before, all...)
}

func (s *suite) tell(p Progress) {
	if s.options.Progress != nil {
		s.options.Progress(p)
	}
}

// choose returns the tests to run or to report as skipped.
func choose(all []Test, o Options) (tests []Test) {
	fits := func(patterns []string, name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return fitsName(p, name) })
	}
	for _, t := range all {
		if len(o.Only) > 0 && !fits(o.Only, t.Name) {
			continue
		}
		if fits(o.Skip, t.Name) {
			t.Run = func(p *Probe) { p.Skip("left out by request") }
		}
		tests = append(tests, t)
	}
	return tests
}

// one runs one check.
func (s *suite) one(test Test) (result Result) {
	started := time.Now()
	result = Result{Name: test.Name, Section: test.Section, Requires: test.Requires, Status: Pass}
	p := &Probe{suite: s, test: &test}
	defer func() { result.Duration = time.Since(started) }()
	ended := p.guard(func() {
		if err := s.ctx.Err(); err != nil {
			p.Skip("the run was ended: " + err.Error())
		}
		if test.needs != 0 {
			s.look(p)
		} else if !s.looked && s.broken == nil {
			_ = p.guard(func() { s.look(p) }) // if it does not open, the check says so
			s.looked, s.broken, s.blamed = s.broken == nil, nil, ""
		}
		if reason := test.needs.lacks(s.have); reason != "" {
			p.Skip(reason)
		}
		test.Run(p)
	})
	if end := p.guard(p.end); ended == nil {
		ended = end
	}
	// If the context was cancelled meanwhile, nothing that the store answers is its
	// failure, not even that it does not open.
	if err := s.ctx.Err(); ended != nil && err != nil {
		ended = skipped("the run was ended: " + err.Error())
	}
	switch e := ended.(type) {
	case nil:
	case skipped:
		result.Status, result.Reason = Skip, string(e)
	case *Failure:
		result.Status, result.Failure = Fail, e
	}
	return result
}

// look finds out, once, what the target has. If it does not open, one check fails
// for that, unless others have failed before, and the rest is skipped.
func (s *suite) look(p *Probe) {
	if s.broken != nil {
		p.Skip("it does not open: see " + s.blamed)
	}
	if s.looked {
		return
	}
	s.looked = true
	if s.options.Durable {
		s.have |= needDurable
	}
	if s.options.Shared {
		s.have |= needShared
	}
	dir, remove, err := makeDir(s.options.Dir)
	if err != nil {
		p.Fail("no directory could be made: "+err.Error(), "a directory for the store")
	}
	defer remove()
	target, err := s.open(s.ctx, Setup{Dir: dir, Namespace: namespace.Of(dir)})
	if err != nil {
		s.broken, s.blamed = err, p.test.Name
		for _, r := range s.report.Results {
			if r.Status == Fail {
				s.blamed = r.Name
				p.Skip("it does not open: see " + s.blamed)
			}
		}
		p.Fail("it does not open: "+err.Error(), "a store that opens")
	}
	defer store.Close(context.WithoutCancel(s.ctx), target)
	if s.report.Target == "" {
		s.report.Target = fmt.Sprintf("%T", target)
	}
	has := func(n need, err error) {
		if !errors.Is(err, store.ErrUnsupported) {
			s.have |= n
		}
	}
	_, err = store.Sweep(s.ctx, target, 1, Now)
	has(needSweep, err)
	has(needKeys, first(store.Keys(s.ctx, target, Now)))
	has(needSnapshot, first(store.Snapshot(s.ctx, target, Now)))
	has(needTouch, may[store.Toucher](target, func() error { return store.Touch(s.ctx, target, []byte("nothing"), 0, Now) }))
	has(needClear, may[store.Clearer](target, func() error { return store.Clear(s.ctx, target, Now) }))
	has(needSave, may[store.Saver](target, func() error { return store.Save(s.ctx, target, Now) }))
	has(needRestore, may[store.Restorer](target, func() error { return store.Restore(s.ctx, target, records(), Now) }))
	innermost := target // closing does not reveal whether something was closed
	for w, wraps := target.(store.Wrapper); wraps; w, wraps = innermost.(store.Wrapper) {
		innermost = w.Unwrap()
	}
	has(needClose, may[store.Closer](innermost, nil))
}

// may returns ErrUnsupported if a store has no T, or if it is a wrapper whose T
// does not work on the store beneath, which calling it shows. A store that is not a
// wrapper is trusted to have the method: the checks would fail if it did nothing.
func may[T any](target store.Store, call func() error) error {
	if _, ok := store.As[T](target); !ok {
		return store.ErrUnsupported
	}
	if _, wraps := target.(store.Wrapper); wraps && call != nil {
		return call()
	}
	return nil
}

// first returns the error with which an enumeration begins.
func first[T any](list iter.Seq2[T, error]) error {
	for _, err := range list {
		return err
	}
	return nil
}

// A check panics with skipped or *Failure to end itself.
type skipped string

// guard calls f and returns what f panicked with to end the check, nil if it
// returned. Any other panic is a failure.
func (p *Probe) guard(f func()) (ended any) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case skipped, *Failure:
			ended = v
		default:
			ended = p.failure(fmt.Sprintf("a panic: %v\n%s", v, debug.Stack()), "none")
		}
	}()
	f()
	return nil
}

// random returns a source that depends only on the seed and the name of the check.
func (p *Probe) random() *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(p.test.Name))
	return rand.New(rand.NewPCG(p.suite.options.Seed, h.Sum64()))
}

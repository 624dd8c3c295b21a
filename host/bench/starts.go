package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// Targets of the memory engine's start.
const (
	targetStartWarm = 30 * time.Millisecond
	targetStartCold = 400 * time.Millisecond
)

// nameMemory is the memory engine in the part start.
const nameMemory = "waddle, memory"

// startResult is how long an engine took from Open to its first answer, in a process that did
// nothing before.
type startResult struct {
	Engine string        `json:"engine"`
	Cold   time.Duration `json:"cold_ns"` // with an empty directory for compiled code
	Warm   time.Duration `json:"warm_ns"` // with a full one

	ColdProcessor time.Duration `json:"cold_cpu_ns"` // 0 if unknown
	WarmProcessor time.Duration `json:"warm_cpu_ns"`
}

// runStarts starts each engine in fresh processes, so many of each kind, and takes medians.
func runStarts(ctx context.Context, starts int) ([]startResult, error) {
	dir, err := os.MkdirTemp("", "sessions-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var all []startResult
	for i, name := range []string{nameMemory, nameDynfile, nameKeyfolder} {
		var took [4][]float64
		for n := range starts {
			place := filepath.Join(dir, fmt.Sprint(i, "-", n))
			for warm := range 2 { // the first start of two fills the directory for the second
				u, err := startFresh(ctx, assignment{Part: partStart, Subject: name, Dir: filepath.Join(place, "files"), Code: filepath.Join(place, "code")})
				if err != nil {
					return nil, err
				}
				took[2*warm], took[2*warm+1] = append(took[2*warm], float64(u.Took)), append(took[2*warm+1], float64(u.CPU))
			}
		}
		middle := func(i int) time.Duration { return time.Duration(median(took[i])) }
		all = append(all, startResult{name, middle(0), middle(2), middle(1), middle(3)})
	}
	return all, nil
}

func startFresh(ctx context.Context, a assignment) (_ usage, err error) {
	w, err := hire(ctx, a)
	if err != nil {
		return usage{}, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	_, u, err := w.cells[0].sample(1, 0)
	if err != nil {
		return usage{}, err
	}
	return u, w.verify()
}

// openStart prepares a start, which its only operation is.
func openStart(ctx context.Context, a assignment) (*stand, error) {
	var p *plugin.Plugin
	var failed error
	open := func() (*plugin.Plugin, error) {
		return openEngineWith(ctx, plugin.Config{MemoryLimit: engineSmall, CacheDir: a.Code})
	}
	for _, e := range fileEnginesWith(a.Code) {
		if e.name == a.Subject {
			open = func() (*plugin.Plugin, error) { return e.start(ctx, a.Dir, plugin.DurabilityClose, 0) }
		}
	}
	return &stand{
		cells: []cell{{cellName: cellName{Subject: a.Subject, Operation: "start", Cores: thisMachine().Cores}, workers: 1, run: func(int, int) {
			if p, failed = open(); failed == nil {
				failed = firstAnswer(ctx, p)
			}
		}}},
		verify: func() error { return failed },
		close: func() error {
			if p == nil {
				return nil
			}
			return store.Close(ctx, p)
		},
	}, nil
}

// starts prints a line for each engine.
func (t table) starts(all []startResult) {
	t.line("\nstart: from Open to the first answer, in a fresh process")
	t.line("%-28s %10s %10s %10s %10s", "", "cold", "cold, cpu", "warm", "warm, cpu")
	for _, s := range all {
		t.line("%-28s %10s %10s %10s %10s", s.Engine, short(s.Cold), short(s.ColdProcessor), short(s.Warm), short(s.WarmProcessor))
	}
}

func judgeStarts(all []startResult, add judgement) {
	for _, s := range all {
		if s.Engine != nameMemory {
			continue
		}
		warm, cold := usage{Took: s.Warm, CPU: s.WarmProcessor}, usage{Took: s.Cold, CPU: s.ColdProcessor}
		for _, c := range []struct {
			what string
			used usage
			want time.Duration
		}{{"without compiled code", cold, targetStartCold}, {"with compiled code in its directory", warm, targetStartWarm}} {
			add(c.used.undisturbed() < c.want, fmt.Sprintf("the memory engine's first answer under %v, %s", c.want, c.what),
				"%s of wall-clock time, %s of processor time", short(c.used.Took), short(c.used.CPU))
		}
	}
}

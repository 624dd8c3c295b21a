package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// fileCrowdResult is the result of one engine that keeps files, with very many sessions.
type fileCrowdResult struct {
	Engine    string        `json:"engine"`
	Records   int           `json:"records"`
	Fill      latency       `json:"fill"`
	Close     time.Duration `json:"close_ns"` // which makes everything durable
	Openings  []opening     `json:"openings"`
	Memory    int64         `json:"memory_bytes"` // of all instances, after the first opening
	Length    int64         `json:"disk_length_bytes"`
	Allocated int64         `json:"disk_allocated_bytes"` // 0 if unknown

	// A load of overwrites and deletes, long enough that space is freed meanwhile.
	// Removed counts files of many sessions that existed before it or between its
	// slices, and are gone at the end.
	Load    latency `json:"load"`
	Sweep   latency `json:"sweep_steps"`
	Bare    latency `json:"bare_file"`
	Noise   latency `json:"noise"`
	Removed int     `json:"files_removed"`
	Worn    int64   `json:"disk_length_after_load_bytes"`
}

// opening is one way to open the engine with what it holds.
type opening struct {
	What      string        `json:"what"`
	Took      time.Duration `json:"ns"`
	Processor time.Duration `json:"cpu_ns"`  // 0 if unknown
	Code      time.Duration `json:"code_ns"` // the part of it until the module's code was ready
	From      string        `json:"code_from"`
}

// Ways to open.
const (
	openWarm        = "files cached"
	openCold        = "files not cached"
	openWithoutHint = "files cached, no hints"
)

// runFileCrowd fills the engine, opens it again in several ways, and lets it free space.
func runFileCrowd(ctx context.Context, e fileEngine, c crowd, dir string) (r fileCrowdResult, err error) {
	r = fileCrowdResult{Engine: e.name, Records: e.crowd(c.records)}
	p, err := e.start(ctx, dir, plugin.DurabilityInterval, 0)
	if err != nil {
		return r, err
	}
	defer func() { p.Close(ctx) }() // whichever is open; a second Close does nothing
	l := &load{ctx: ctx, store: p, mix: mixWriting, present: make([]bool, r.Records)}
	fill, err := l.fill()
	if err != nil {
		return r, fmt.Errorf("fill: %w", err)
	}
	r.Fill = fill.latency()
	if err := settle(ctx, p, dir); err != nil {
		return r, err
	}
	start := time.Now()
	if err := p.Close(ctx); err != nil {
		return r, err
	}
	r.Close = time.Since(start)
	if r.Length, r.Allocated, err = diskUse(dir); err != nil {
		return r, err
	}

	reopen := func(what string) error {
		flush(dir)
		cpu, start := processTime(), time.Now()
		if p, err = e.start(ctx, dir, plugin.DurabilityInterval, 0); err != nil {
			return fmt.Errorf("open, %s: %w", what, err)
		}
		took, stats := time.Since(start), p.Stats()
		r.Openings = append(r.Openings, opening{what, took, processTime() - cpu, stats.CompileTime, stats.CodeSource})
		l.store = p
		return nil
	}
	if err := reopen(openWarm); err != nil {
		return r, err
	}
	r.Memory = p.Stats().Memory
	if err := l.verify(); err != nil {
		return r, fmt.Errorf("after opening again: %w", err)
	}
	if err := p.Close(ctx); err != nil {
		return r, err
	}
	if cold, err := cool(dir); err != nil {
		return r, err
	} else if cold {
		if err := reopen(openCold); err != nil {
			return r, err
		}
		if err := p.Close(ctx); err != nil {
			return r, err
		}
	}
	what := openWarm
	if removed, err := removeHints(dir, e.hints); err != nil {
		return r, err
	} else if removed > 0 {
		what = openWithoutHint
	}
	if err := reopen(what); err != nil {
		return r, err
	}
	if err := r.wear(ctx, l, p, c, dir, e.packs); err != nil {
		return r, err
	}
	return r, p.Close(ctx)
}

// activePart: the load of writes goes to one in activePart of the sessions, like those
// of the visitors who are there. It hits them so often that files become waste in some
// seconds.
const activePart = 16

// patience is how many times longer than planned the load may go on if no space has been
// freed.
const patience = 8

// wear puts a load of writes on the engine, and the same load on a bare file and on
// nothing.
func (r *fileCrowdResult) wear(ctx context.Context, l *load, p *plugin.Plugin, c crowd, dir, packs string) error {
	packed, err := filesLike(dir, packs)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, name := range packed {
		seen[name] = true
	}
	bare, err := newBareFile(filepath.Join(filepath.Dir(dir), "bare"))
	if err != nil {
		return err
	}
	defer bare.Close(ctx)
	var worn, sweeps, file, noise recorder
	workers := min(max(1, runtime.GOMAXPROCS(0)-1), len(l.present))
	l.active = max(len(l.present)/activePart, workers)
	for n := 0; n < c.slices || packs != "" && r.Removed == 0 && n < patience*c.slices; n++ {
		if err := l.slice(workers, c.span, &worn, &sweeps); err != nil {
			return fmt.Errorf("load of writes: %w", err)
		}
		if err := p.Save(ctx, store.At(time.Now())); err != nil { // nothing is removed before its replacement is durable
			return err
		}
		now, err := filesLike(dir, packs)
		if err != nil {
			return err
		}
		for _, name := range now {
			seen[name] = true
		}
		r.Removed = len(seen) - len(now)
		for _, other := range []struct {
			store crowdStore
			times *recorder
		}{{bare, &file}, {nothing{}, &noise}} {
			idle := &load{ctx: ctx, store: other.store, mix: l.mix, active: l.active, present: l.present}
			if err := idle.slice(workers, c.span/2, other.times, new(recorder)); err != nil {
				return err
			}
		}
	}
	if err := l.verify(); err != nil {
		return fmt.Errorf("after the load of writes: %w", err)
	}
	r.Load, r.Sweep, r.Bare, r.Noise = worn.latency(), sweeps.latency(), file.latency(), noise.latency()
	r.Worn, _, err = diskUse(dir)
	return err
}

// settle makes the engine do what it leaves for later, as in a server's idle time, until
// nothing changes on the disk any more.
func settle(ctx context.Context, p *plugin.Plugin, dir string) error {
	const steps = 100
	for before := int64(-1); ; {
		if err := p.Save(ctx, store.At(time.Now())); err != nil {
			return err
		}
		for range steps {
			if _, err := p.Sweep(ctx, sweepRecords, store.At(time.Now())); err != nil {
				return err
			}
		}
		length, _, err := diskUse(dir)
		if err != nil || length == before {
			return err
		}
		before = length
	}
}

// removeHints removes the files with that name and returns how many there were. Files
// that are not full yet have none.
func removeHints(dir, name string) (int, error) {
	names, err := filesLike(dir, name)
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	return len(names), err
}

// filesLike returns the paths of files below an engine's directory, in which each shard
// has a folder.
func filesLike(dir, name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	return filepath.Glob(filepath.Join(dir, "*", name))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// guestGo is the guest that the others are compared with.
const guestGo = "go"

// guestFacts is what is known of a guest's module.
type guestFacts struct {
	Language string `json:"language"`
	Size     int    `json:"size"` // of the module, in bytes
	// Compile is how long it took to compile the module, with no cache. Instance is how
	// long an instance took from nothing to its first answer.
	Compile  time.Duration `json:"compile"`
	Instance time.Duration `json:"instance"`
	Heap     int64         `json:"heap"`   // that an instance keeps of the Go heap, in bytes
	Memory   int64         `json:"memory"` // of an instance that has no records yet, in bytes
}

// guestsResult contains the figures of one store in several languages.
type guestsResult struct {
	Facts    []guestFacts    `json:"facts"`
	Rows     []row           `json:"rows"`
	Metering *meteringResult `json:"metering"`

	rounds []samples
}

// findGuests returns the languages for which dir has a module:
// LANGUAGE/store.wasm.
func findGuests(dir fs.FS) ([]string, error) {
	files, err := fs.Glob(dir, "*/store.wasm")
	if err != nil {
		return nil, err
	}
	var languages []string
	for _, file := range files {
		languages = append(languages, path.Dir(file))
	}
	if !slices.Contains(languages, guestGo) {
		return nil, fmt.Errorf("there is no %s/store.wasm among %q: give the directory of the example guests with -guests", guestGo, languages)
	}
	return languages, nil
}

// runGuests measures the plugin calls of one store in several languages, and of
// the bundled engine, on one core.
func runGuests(ctx context.Context, dir string, p plan) (*guestsResult, error) {
	languages, err := findGuests(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	result := &guestsResult{}
	var callees []callee
	var modules []guestModule
	add := func(name string, wasm []byte, trusted bool) error {
		guest, facts, err := openGuest(ctx, name, wasm, trusted)
		if err != nil {
			return fmt.Errorf("the guest %s: %w", name, err)
		}
		callees = append(callees, newStoreCallee(ctx, name, guest))
		modules = append(modules, guestModule{name, wasm})
		result.Facts = append(result.Facts, *facts)
		return nil
	}
	defer func() {
		for _, c := range callees {
			c.close()
		}
	}()
	for _, language := range languages {
		wasm, err := os.ReadFile(filepath.Join(dir, language, "store.wasm"))
		if err != nil {
			return nil, err
		}
		if err := add(language, wasm, false); err != nil {
			return nil, err
		}
	}
	engine, err := memory.Module()
	if err != nil {
		return nil, err
	}
	if err := add(nameWasmCall, engine, true); err != nil {
		return nil, err
	}
	all, err := measureCallees(callees, p)
	if err != nil {
		return nil, err
	}
	result.rounds = all
	result.Rows = results(all).rows(guestGo, nameWasmCall)
	result.Metering, err = runMetering(ctx, modules, p)
	return result, err
}

// openGuest compiles a guest, measures its instances and opens it.
func openGuest(ctx context.Context, name string, wasm []byte, trusted bool) (*plugin.Plugin, *guestFacts, error) {
	config := meteringConfig(trusted)
	config.Name, config.Shards, config.SweepInterval = name, 0, 0
	start := time.Now()
	module, err := plugin.DefaultHost().Compile(ctx, wasm, config)
	if err != nil {
		return nil, nil, err
	}
	defer module.Close()
	facts := &guestFacts{Language: name, Size: len(wasm), Compile: time.Since(start)}
	if facts.Instance, facts.Heap, err = measureInstances(ctx, module, config); err != nil {
		return nil, nil, err
	}
	guest, err := plugin.Open(ctx, wasm, config) // with the module's code
	if err != nil {
		return nil, nil, err
	}
	stats := guest.Stats()
	facts.Memory = stats.Memory / int64(len(stats.Shards))
	return guest, facts, nil
}

// instances is how many are brought up to measure one.
const instances = 25

// measureInstances brings up instances, each of a plugin of its own. It returns the median
// of their times, and what one keeps of the Go heap.
func measureInstances(ctx context.Context, module *plugin.Module, config plugin.Config) (time.Duration, int64, error) {
	config.Shards = 1
	plugins := make([]*plugin.Plugin, 0, instances)
	defer func() {
		for _, p := range plugins {
			p.Close(ctx)
		}
	}()
	for range instances {
		p, err := module.Open(ctx, config)
		if err != nil {
			return 0, 0, err
		}
		plugins = append(plugins, p)
	}
	grown := heapMeter()
	var times []time.Duration
	for _, p := range plugins {
		start := time.Now()
		if err := firstAnswer(ctx, p); err != nil {
			return 0, 0, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2], grown() / instances, nil
}

// firstAnswer asks for a record that is not there.
func firstAnswer(ctx context.Context, p *plugin.Plugin) error {
	if _, err := p.Get(ctx, []byte("nothing"), store.At(time.Now())); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("it should not have found a record: %v", err)
	}
	return nil
}

// guests prints the store in several languages.
func (t table) guests(r *guestsResult) {
	t.line("\nguests: one store in several languages (examples/guests)")
	t.line("%-28s %9s %9s %9s %9s %9s %9s %7s %9s %7s", "", "module", "compile", "instance", "heap", "memory", "get, ns", "×go", "set, ns", "×go")
	for _, f := range r.Facts {
		name := f.Language
		if name == nameWasmCall {
			name = "the bundled memory engine"
		}
		get, set := findRow(r.Rows, f.Language, "get", 1), findRow(r.Rows, f.Language, "set", 1)
		t.line("%-28s %6d kB %9s %9s %5d KiB %5d KiB %9.0f %7.2f %9.0f %7.2f", name, f.Size/1000, short(f.Compile), short(f.Instance),
			f.Heap>>10, f.Memory>>10, get.cpuOrClock(), get.cost(guestGo), set.cpuOrClock(), set.cost(guestGo))
	}
	t.metering(r.Metering)
}

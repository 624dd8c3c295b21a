package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// guestGo is the guest that the others are compared with.
const guestGo = "go"

// guestFacts is what is known of a guest's module.
type guestFacts struct {
	Language string `json:"language"`
	Size     int    `json:"size"` // of the module, in bytes
	// Compile is how long it took to compile the module, with no cache; Open is
	// how long it took to open it once compiled.
	Compile time.Duration `json:"compile"`
	Open    time.Duration `json:"open"`
	Memory  int64         `json:"memory"` // of an instance that has no records yet, in bytes
}

// guestsResult contains the figures of one store in several languages.
type guestsResult struct {
	Facts []guestFacts `json:"facts"`
	Rows  []row        `json:"rows"`
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
	engine, err := openEngine(ctx, engineSmall)
	if err != nil {
		return nil, err
	}
	bundled := newStoreCallee(ctx, nameWasmCall, engine)
	defer bundled.close()
	callees := []callee{bundled}
	result := &guestsResult{}
	for _, language := range languages {
		guest, facts, err := openGuest(ctx, os.DirFS(dir), language)
		if err != nil {
			return nil, fmt.Errorf("the guest in %s: %w", language, err)
		}
		c := newStoreCallee(ctx, language, guest)
		defer c.close()
		callees = append(callees, c)
		result.Facts = append(result.Facts, *facts)
	}
	all, err := measureCallees(callees, p)
	if err != nil {
		return nil, err
	}
	result.Rows = results(all).rows(guestGo, nameWasmCall)
	return result, nil
}

// openGuest opens a guest twice, the second time with the code compiled by the
// first, and returns the second.
func openGuest(ctx context.Context, dir fs.FS, language string) (*plugin.Plugin, *guestFacts, error) {
	wasm, err := fs.ReadFile(dir, path.Join(language, "store.wasm"))
	if err != nil {
		return nil, nil, err
	}
	config := plugin.Config{Name: language, MemoryLimit: engineSmall, NoCache: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	first, err := plugin.Open(ctx, wasm, config)
	if err != nil {
		return nil, nil, err
	}
	defer first.Close(ctx)
	stats := first.Stats()
	facts := &guestFacts{Language: language, Size: len(wasm), Compile: stats.CompileTime, Memory: stats.Memory / int64(len(stats.Shards))}
	start := time.Now()
	second, err := plugin.Open(ctx, wasm, config)
	if err != nil {
		return nil, nil, err
	}
	facts.Open = time.Since(start) / time.Duration(len(stats.Shards))
	return second, facts, nil
}

// guests prints the store in several languages.
func (t table) guests(r *guestsResult) {
	t.line("\nguests: one store in several languages (examples/guests)")
	t.line("%-28s %9s %9s %9s %9s %9s %7s %9s %7s", "", "module", "compile", "instance", "memory", "get, ns", "×go", "set, ns", "×go")
	for _, f := range r.Facts {
		get, set := findRow(r.Rows, f.Language, "get", 1), findRow(r.Rows, f.Language, "set", 1)
		t.line("%-28s %6d kB %9s %9s %5d KiB %9.0f %7.2f %9.0f %7.2f", f.Language, f.Size/1000, short(f.Compile), short(f.Open), f.Memory>>10,
			get.cpuOrClock(), get.cost(guestGo), set.cpuOrClock(), set.cost(guestGo))
	}
	get, set := findRow(r.Rows, nameWasmCall, "get", 1), findRow(r.Rows, nameWasmCall, "set", 1)
	t.line("%-28s %9s %9s %9s %9s %9.0f %7.2f %9.0f %7.2f", "the bundled memory engine", "", "", "", "",
		get.cpuOrClock(), get.cost(guestGo), set.cpuOrClock(), set.cost(guestGo))
}

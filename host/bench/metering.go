package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// How a guest is run, to tell what bounding it costs. The last two are called through
// wazero alone: this host does not use close-on-done, so its cost is the ratio between
// them.
const (
	unmetered   = "unmetered"
	metered     = "metered"
	bare        = "wazero alone"
	closeOnDone = "close-on-done"
)

// meteringResult tells what metering costs, and what close-on-done would cost.
type meteringResult struct {
	Guests []meteredGuest `json:"guests"`
	Empty  emptyCall      `json:"empty_call"`
	Rows   []row          `json:"rows"`

	Neighbour *neighbourResult `json:"neighbour"`
}

// meteredGuest has ratios to the same guest unmetered.
type meteredGuest struct {
	Language   string  `json:"language"`
	Get        float64 `json:"get"` // unmetered, in nanoseconds
	Set        float64 `json:"set"`
	MeteredGet float64 `json:"metered_get"`
	MeteredSet float64 `json:"metered_set"`
	CloseGet   float64 `json:"close_on_done_get"`
	CloseSet   float64 `json:"close_on_done_set"`
	Compile    float64 `json:"metered_compile"`
}

// emptyCall is what a get takes of a guest that does nothing, in nanoseconds.
type emptyCall struct {
	Unmetered   float64 `json:"unmetered"`
	Metered     float64 `json:"metered"`
	Bare        float64 `json:"wazero_alone"`
	CloseOnDone float64 `json:"close_on_done"`
}

//go:embed emptyguest/empty.wasm
var emptyGuest []byte

// guestModule is a guest to measure.
type guestModule struct {
	language string
	wasm     []byte
}

// runMetering measures the guests in each way, on one core.
func runMetering(ctx context.Context, guests []guestModule, p plan) (_ *meteringResult, err error) {
	var callees []callee
	defer func() {
		for _, c := range callees {
			_ = c.close()
		}
	}()
	for _, g := range append(guests[:len(guests):len(guests)], guestModule{emptyName, emptyGuest}) {
		four, err := fourWays(ctx, g)
		callees = append(callees, four...)
		if err != nil {
			return nil, fmt.Errorf("the guest %s: %w", g.language, err)
		}
	}
	faults := make([]error, len(callees))
	var cells []cell
	for i, c := range callees {
		if i >= 4*len(guests) {
			cells = append(cells, emptyCell(c, &faults[i]))
			continue
		}
		if err := verifyCallee(c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name(), err)
		}
		cells = append(cells, callCell(c, opRead, &faults[i]), callCell(c, opWrite, &faults[i]))
	}
	all, err := measure(cells, p)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	var unmeteredNames []string
	for _, g := range guests {
		unmeteredNames = append(unmeteredNames, g.language+", "+unmetered, g.language+", "+bare)
	}
	result := &meteringResult{Rows: results(all).rows(unmeteredNames...)}
	for _, g := range guests {
		m := meteredGuest{Language: g.language}
		if m.Compile, err = compileRatio(ctx, g, max(1, min(p.rounds/8, 5))); err != nil {
			return nil, err
		}
		find := func(way, op string) *row { return findRow(result.Rows, g.language+", "+way, op, 1) }
		m.Get, m.Set = find(unmetered, "get").cpuOrClock(), find(unmetered, "set").cpuOrClock()
		plain, alone := g.language+", "+unmetered, g.language+", "+bare
		m.MeteredGet, m.MeteredSet = find(metered, "get").cost(plain), find(metered, "set").cost(plain)
		m.CloseGet, m.CloseSet = find(closeOnDone, "get").cost(alone), find(closeOnDone, "set").cost(alone)
		result.Guests = append(result.Guests, m)
	}
	empty := func(way string) float64 { return findRow(result.Rows, emptyName+", "+way, "get", 1).cpuOrClock() }
	result.Empty = emptyCall{empty(unmetered), empty(metered), empty(bare), empty(closeOnDone)}
	result.Neighbour, err = runNeighbour(ctx, p)
	return result, err
}

const emptyName = "empty"

// meteringConfig runs a guest in one instance. How fast it may use its fuel is not what is
// measured.
func meteringConfig(trusted bool) plugin.Config {
	c := plugin.Config{Shards: 1, MemoryLimit: engineSmall, Trusted: trusted, SweepInterval: -1, NoCache: true,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if !trusted {
		c.FuelRate = -1
	}
	return c
}

// fourWays opens a guest in each way. On an error it returns those that are open.
func fourWays(ctx context.Context, g guestModule) (four []callee, err error) {
	for _, way := range []string{unmetered, metered} {
		p, err := plugin.Open(ctx, g.wasm, meteringConfig(way == unmetered))
		if err != nil {
			return four, err
		}
		four = append(four, newStoreCallee(ctx, g.language+", "+way, p))
	}
	for _, way := range []string{bare, closeOnDone} {
		b, err := newBareGuest(ctx, g.language+", "+way, g.wasm, way == closeOnDone)
		if err != nil {
			return four, err
		}
		four = append(four, b)
	}
	return four, nil
}

// emptyCell is a get of a guest that does nothing.
func emptyCell(c callee, fault *error) cell {
	return cell{cellName: cellName{Subject: c.name(), Operation: "get", Cores: 1}, workers: 1, run: func(_, n int) {
		for range n {
			if _, err := c.get(0); !errors.Is(err, store.ErrNotFound) {
				*fault = fmt.Errorf("%s: should find no record: %v", c.name(), err)
			}
		}
	}}
}

// compileRatio is the time to check and compile the guest metered divided by the time
// without, the median of pairs.
func compileRatio(ctx context.Context, g guestModule, rounds int) (float64, error) {
	var with, without []float64
	compile := func(trusted bool) (float64, error) {
		cpu, start := processTime(), time.Now()
		m, err := plugin.DefaultHost().Compile(ctx, g.wasm, meteringConfig(trusted))
		if err != nil {
			return 0, err
		}
		took := time.Since(start)
		if cpu > 0 {
			took = processTime() - cpu
		}
		return float64(took), m.Close()
	}
	for range rounds {
		plain, err := compile(true)
		if err != nil {
			return 0, err
		}
		metered, err := compile(false)
		if err != nil {
			return 0, err
		}
		with, without = append(with, metered), append(without, plain)
	}
	return median(ratios(with, without)), nil
}

// metering prints what bounding a guest costs.
func (t table) metering(m *meteringResult) {
	t.line("\nmetering: the same guests unmetered, metered, and with wazero's close-on-done; ratios to unmetered")
	t.line("%-28s %9s %9s %14s %9s %9s %14s %9s", "", "get, ns", "metered", closeOnDone, "set, ns", "metered", closeOnDone, "compile")
	for _, g := range m.Guests {
		name := g.Language
		if name == nameWasmCall {
			name = "the bundled memory engine"
		}
		t.line("%-28s %9.0f %9.2f %14.2f %9.0f %9.2f %14.2f %9.2f", name, g.Get, g.MeteredGet, g.CloseGet, g.Set, g.MeteredSet, g.CloseSet, g.Compile)
	}
	t.line("an empty call: unmetered %.0f ns, metered %.0f ns; through wazero alone %.0f ns, with close-on-done %.0f ns",
		m.Empty.Unmetered, m.Empty.Metered, m.Empty.Bare, m.Empty.CloseOnDone)
	t.neighbour(m.Neighbour)
}

package plugin

import (
	"errors"
	"fmt"
	"math"

	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// maxMeteredTypes is how many types of functions a metered module may have. For each,
// the compiler makes code that calls the hook, although the hook has only one type. Guests
// in five languages have 16 to 25 types.
const maxMeteredTypes = 1 << 10

// costOfMeteredType is what that takes, in units of preflight.
const costOfMeteredType = 2500

// checkMetered refuses a metered module that may take longer to compile, or more memory,
// than the limits say: metering a nest of loops makes it several times as dear. The module
// without meters was within its own limits, so only those of compiling are looked at.
func checkMetered(wasm []byte, limits Limits) error {
	cost, err := meteredCost(wasm, limits)
	switch {
	case err != nil && !errors.Is(err, preflight.ErrTooBig):
		return fmt.Errorf("the module with meters is not valid: %w", err)
	case err == nil && cost > limits.CompileCost:
		err = fmt.Errorf("%w it is estimated at %d units of cost: must be at most %d", preflight.ErrTooCostly, cost, limits.CompileCost)
	case err == nil:
		return nil
	}
	return fmt.Errorf("with the meters that a guest gets unless it is trusted: %w", err)
}

// meteredCost estimates what it takes to compile a metered module.
func meteredCost(wasm []byte, limits Limits) (int64, error) {
	l := limits.preflight()
	l.Types = min(l.Types, maxMeteredTypes)
	for _, n := range []*int{&l.Module, &l.Body, &l.Branches, &l.Depth, &l.Locals, &l.AllLocals} {
		*n = int(min(int64(*n)*metersGrow, math.MaxInt32))
	}
	for _, n := range []*int{&l.Functions, &l.Globals, &l.Exports} {
		*n += metersAdd
	}
	m, err := preflight.Parse(wasm, l)
	if err != nil {
		return 0, err
	}
	return m.CompileCost + costOfMeteredType*int64(m.TypeCount), nil
}

// How much larger a module with meters may be, and how much it may have in addition.
const (
	metersGrow = 8
	metersAdd  = 16
)

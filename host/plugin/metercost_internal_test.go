package plugin

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// manyTypes is a module with that many types of functions.
func manyTypes(n int) []byte {
	var types []wasmbin.FuncType
	for i := range n {
		t := wasmbin.FuncType{}
		for bit := range 12 {
			t.Params = append(t.Params, []wasmbin.ValueType{wasmbin.I32, wasmbin.I64}[i>>bit&1])
		}
		types = append(types, t)
	}
	return wasmbin.AppendSection(wasmbin.AppendHeader(nil), wasmbin.SectionType, wasmbin.AppendItems(nil, types))
}

// Meters make a module dearer to compile, and their hook makes each type dear.
func TestMeteredModulesHaveLimitsOfTheirOwn(t *testing.T) {
	check := func(wasm []byte, limits Limits) error {
		metered, _, err := rewrite.Module(wasm, rewrite.Options{Meter: true})
		require.NoError(t, err)
		return checkMetered(metered, limits.orDefault())
	}
	require.NoError(t, check(manyTypes(maxMeteredTypes-1), Limits{}), "the hook has a type, too")
	err := check(manyTypes(maxMeteredTypes), Limits{})
	require.ErrorContains(t, err, "with the meters that a guest gets unless it is trusted: module exceeds a limit: 1025 types: must be at most 1024")

	err = check(manyTypes(100), Limits{CompileCost: 200_000})
	require.ErrorContains(t, err, "units of cost: must be at most 200000")
	cost, err := meteredCost(manyTypes(100), Limits{}.orDefault())
	require.NoError(t, err)
	require.NoError(t, check(manyTypes(100), Limits{CompileCost: 2 * cost}))
	require.ErrorContains(t, checkMetered([]byte("\x00asm\x02\x00\x00\x00"), DefaultLimits()), "the module with meters is not valid")
}

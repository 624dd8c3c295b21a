package plugin_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// Each limit of a config holds by itself, and those left out are the default ones.
func TestLimitsOfAConfig(t *testing.T) {
	wasm := guest(t, "store")
	outline, err := plugin.Validate(wasm)
	require.NoError(t, err)
	exact := plugin.Limits{Module: int64(len(wasm)), CompileCost: outline.CompileCost, CompileMemory: outline.CompileMemory}
	for name, c := range map[string]struct {
		limits plugin.Limits
		kind   error // nil if it opens
		says   string
	}{
		"none":                {plugin.Limits{}, nil, ""},
		"default":             {plugin.DefaultLimits(), nil, ""},
		"strict":              {plugin.StrictLimits(), nil, ""},
		"none at all":         {plugin.Limits{Module: math.MaxInt64, CompileCost: math.MaxInt64, CompileMemory: math.MaxInt64}, nil, ""},
		"exact":               {exact, nil, ""},
		"a byte less":         {plugin.Limits{Module: exact.Module - 1}, plugin.ErrLimits, "bytes"},
		"cheaper":             {plugin.Limits{CompileCost: exact.CompileCost - 1}, plugin.ErrLimits, "compiling costs at least"},
		"less memory":         {plugin.Limits{CompileMemory: exact.CompileMemory - 1}, plugin.ErrLimits, "compiling takes about"},
		"a negative size":     {plugin.Limits{Module: -1}, plugin.ErrConfig, "Limits.Module is -1"},
		"a negative cost":     {plugin.Limits{CompileCost: -1}, plugin.ErrConfig, "Limits.CompileCost is -1"},
		"negative for memory": {plugin.Limits{CompileMemory: -1}, plugin.ErrConfig, "Limits.CompileMemory is -1"},
	} {
		config := quiet()
		config.Limits = c.limits
		p, err := plugin.OpenFile(ctx, "testdata/store.wasm", config)
		if c.kind == nil {
			require.NoError(t, err, name)
			require.NoError(t, p.Close(ctx), name)
			continue
		}
		require.ErrorIs(t, err, c.kind, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

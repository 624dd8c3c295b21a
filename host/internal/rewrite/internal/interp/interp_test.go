package interp_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/rewrite/internal/interp"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// A loop that adds up the numbers up to ten, and what it costs, added up by hand.
func TestLoop(t *testing.T) {
	var c wasmbin.Code
	c.Block(wasmbin.OpLoop, wasmbin.NoResult)
	c.Op(wasmbin.OpLocalGet, 0)
	c.Op(wasmbin.OpLocalGet, 1)
	c.Op(wasmbin.OpI32Add)
	c.Op(wasmbin.OpLocalSet, 1)
	c.Op(wasmbin.OpLocalGet, 0)
	c.I32(1)
	c.Op(wasmbin.OpI32Sub)
	c.Op(wasmbin.OpLocalTee, 0)
	c.Op(wasmbin.OpBrIf, 0)
	c.Op(wasmbin.OpEnd)
	c.Op(wasmbin.OpLocalGet, 1)
	round := int64(0)
	for _, op := range []wasmbin.Opcode{wasmbin.OpLocalGet, wasmbin.OpLocalGet, wasmbin.OpI32Add, wasmbin.OpLocalSet, wasmbin.OpLocalGet, wasmbin.OpI32Const,
		wasmbin.OpI32Sub, wasmbin.OpLocalTee, wasmbin.OpBrIf, wasmbin.OpEnd} {
		round += rewrite.Weight(op)
	}
	entry := rewrite.Weight(wasmbin.OpLoop) + rewrite.Weight(wasmbin.OpLocalGet) + rewrite.Weight(wasmbin.OpEnd) + 9/rewrite.LocalsPerUnit

	m := new(wasmbin.Module)
	wasmbin.SetItems(m, wasmbin.SectionType, []wasmbin.FuncType{{Params: []wasmbin.ValueType{wasmbin.I32}, Results: []wasmbin.ValueType{wasmbin.I32}}})
	wasmbin.SetItems(m, wasmbin.SectionFunction, []wasmbin.Index{0})
	wasmbin.SetItems(m, wasmbin.SectionExport, []wasmbin.Export{{Name: "sum"}})
	wasmbin.SetItems(m, wasmbin.SectionCode, []wasmbin.Body{c.Body(wasmbin.Locals{Count: 9, Type: wasmbin.I32})})
	parsed, err := interp.Parse(m.Append(nil))
	require.NoError(t, err)

	v, err := interp.New(parsed, nil, interp.Limits{Fuel: 1 << 30, Calls: 1})
	require.NoError(t, err)
	results, err := v.Call("sum", []uint64{10})
	require.NoError(t, err)
	require.Equal(t, []uint64{55}, results)
	require.Equal(t, entry+10*round, v.Used)

	v, err = interp.New(parsed, nil, interp.Limits{Fuel: entry + 3*round, Calls: 1})
	require.NoError(t, err)
	_, err = v.Call("sum", []uint64{10})
	require.Equal(t, interp.ErrFuel, err)
	require.Equal(t, entry+4*round, v.Used, "it ends when a round is charged that it cannot pay for")
}

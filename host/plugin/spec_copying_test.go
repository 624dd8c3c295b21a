package plugin_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// A guest of the specification can be copied. With any of what section 13 excludes, it
// cannot.
func TestSpecCopying(t *testing.T) {
	fixed := func(m *specModule) string {
		r, err := plugin.Rewriting(m.bytes(), true)
		require.NoError(t, err)
		return r.Fixed
	}
	require.Empty(t, fixed(specGuest(t)))

	instructions := regexp.MustCompile("`((?:table|elem|memory|data)\\.\\w+)`").FindAllStringSubmatch(specSection(t, sectionCopying), -1)
	require.Len(t, instructions, 5)
	zeros := []byte{opI32Const, 0, opI32Const, 0, opI32Const, 0}
	for _, i := range instructions {
		m := specGuest(t)
		var op wasmbin.Opcode
		for op = wasmbin.OpMemoryInit; op.String() != i[1]; op++ {
			require.Less(t, op, wasmbin.OpTableFill, i[1])
		}
		code := op.Append(nil)
		switch op {
		case wasmbin.OpMemoryInit, wasmbin.OpTableInit, wasmbin.OpTableCopy:
			code = append(append(zeros[:6:6], code...), 0, 0)
		default:
			code = append(code, 0)
		}
		clearing := m.export(abi.ExportClear)
		clearing.body = append(code, clearing.code()...)
		var at wasmbin.Code
		at.I32(0)
		m.extra = map[byte][]byte{
			wasmbin.SectionTable:     {1, byte(wasmbin.FuncRef), 0, 0},
			wasmbin.SectionElement:   wasmbin.AppendItems(nil, []wasmbin.Elements{{Offset: at.Expression()}}),
			wasmbin.SectionDataCount: {1},
		}
		require.Contains(t, fixed(m), i[1])
	}

	most := specNumbers(t, `with more than (\d+) mutable globals`, specSection(t, sectionCopying))[0]
	require.Equal(t, rewrite.MaxMovable, most)
	for n, typ := range map[int]wasmbin.ValueType{most: wasmbin.I32, most + 1: wasmbin.I32, 1: wasmbin.V128} {
		var globals []wasmbin.Global
		for range n {
			var c wasmbin.Code
			if c.I32(0); typ == wasmbin.V128 {
				c = append(wasmbin.OpV128Const.Append(nil), make([]byte, 16)...)
			}
			globals = append(globals, wasmbin.Global{GlobalType: wasmbin.GlobalType{Type: typ, Mutable: true}, Init: c.Expression()})
		}
		m := specGuest(t)
		m.extra = map[byte][]byte{wasmbin.SectionGlobal: wasmbin.AppendItems(nil, globals)}
		require.Equal(t, n == most, fixed(m) == "", "%d of %s", n, typ)
	}
}

// What a copy answers when it is told, and how the call can fail.
func TestSpecCopied(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *specModule)
		want   error // of the call
		code   abi.Code
	}{
		"success":        {func(m *specModule) { m.returns(abi.ExportCopied, 0) }, nil, 0},
		"another number": {func(m *specModule) { m.returns(abi.ExportCopied, 1<<62) }, nil, 0},
		"not exported":   {func(m *specModule) { m.without(abi.ExportCopied) }, nil, abi.Unsupported},
		"not supported":  {func(m *specModule) { m.returns(abi.ExportCopied, int64(abi.Unsupported)) }, nil, abi.Unsupported},
		"an error":       {func(m *specModule) { m.returns(abi.ExportCopied, int64(abi.Unavailable)) }, nil, abi.Unavailable},
		"an unknown one": {func(m *specModule) { m.returns(abi.ExportCopied, -99) }, nil, abi.Internal},
		"a trap": {func(m *specModule) {
			m.export(abi.ExportCopied).body = []byte{byte(wasmbin.OpUnreachable)}
		}, plugin.ErrTrap, 0},
		"no end": {func(m *specModule) {
			m.export(abi.ExportCopied).body = []byte{byte(wasmbin.OpLoop), byte(wasmbin.NoResult), byte(wasmbin.OpBr), 0, opEnd, opI64Const, 0}
		}, plugin.ErrFuel, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := specGuest(t)
			c.change(m)
			config := specConfigOf(nil)
			config.Trusted, config.OpenFuel = false, 1<<22
			p := open(t, m.bytes(), config) // which is no copy, and is not told
			err := p.TellCopied()
			code, answered := protocol.CodeOf(err)
			switch {
			case c.want != nil:
				require.ErrorIs(t, err, c.want)
				require.False(t, answered)
			case c.code != 0:
				require.True(t, answered, "%v", err)
				require.Equal(t, c.code, code)
			default:
				require.NoError(t, err)
			}
		})
	}
}

package wasmbin_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// Each layout's immediates are reported, with their positions.
func TestImmediates(t *testing.T) {
	const at = 100
	for name, c := range map[string]struct {
		code string
		want wasmbin.Instruction
	}{
		"nop":           {"\x01", wasmbin.Instruction{Op: wasmbin.OpNop}},
		"local":         {"\x20\x85\x01", wasmbin.Instruction{Op: wasmbin.OpLocalGet, First: 133}},
		"call_indirect": {"\x11\x81\x00\x02", wasmbin.Instruction{Op: wasmbin.OpCallIndirect, First: 1, Second: 2, Behind: at + 3}},
		"block":         {"\x02\x40", wasmbin.Instruction{Op: wasmbin.OpBlock, Type: wasmbin.NoResult}},
		"block of i64":  {"\x02\x7e", wasmbin.Instruction{Op: wasmbin.OpBlock, Type: wasmbin.I64}},
		"block of type": {"\x02\x80\x01", wasmbin.Instruction{Op: wasmbin.OpBlock, Value: 128}},
		"load":          {"\x28\x02\x90\x01", wasmbin.Instruction{Op: wasmbin.OpI32Load, Align: 2, MemOffset: 144, Behind: at + 2}},
		"load of 3":     {"\x28\x42\x03\x10", wasmbin.Instruction{Op: wasmbin.OpI32Load, Align: 0x42, Second: 3, MemOffset: 16, Behind: at + 2}},
		"i32.const":     {"\x41\x7f", wasmbin.Instruction{Op: wasmbin.OpI32Const, Value: -1}},
		"i32.const 300": {"\x41\xac\x02", wasmbin.Instruction{Op: wasmbin.OpI32Const, Value: 300}},
		"i64.const":     {"\x42\x40", wasmbin.Instruction{Op: wasmbin.OpI64Const, Value: -64}},
		"f32.const":     {"\x43\x01\x02\x03\x04", wasmbin.Instruction{Op: wasmbin.OpF32Const, Value: 0x04030201}},
		"f64.const":     {"\x44\x01\x02\x03\x04\x05\x06\x07\x88", wasmbin.Instruction{Op: wasmbin.OpF64Const, Value: -0x77f8f9fafbfcfdff}},
		"memory.init":   {"\xfc\x08\x07\x00", wasmbin.Instruction{Op: wasmbin.OpMemoryInit, Number: 8, First: 7, Behind: at + 3}},
		"memory.fill":   {"\xfc\x0b\x01", wasmbin.Instruction{Op: wasmbin.OpMemoryFill, Number: 11, First: 1}},
		"lane":          {"\xfd\x15\x0f", wasmbin.Instruction{Op: wasmbin.Vector(21), Number: 21, Lane: 15}},
		"load of a lane": {"\xfd\x54\x00\x04\x03", wasmbin.Instruction{Op: wasmbin.Vector(84), Number: 84, MemOffset: 4, Lane: 3,
			Behind: at + 3}},
		"block of -64": {"\x02\xc0\x7f", wasmbin.Instruction{Op: wasmbin.OpBlock, Value: -64}},
		"ref.null":     {"\xd0\x70", wasmbin.Instruction{Op: wasmbin.OpRefNull, Type: wasmbin.FuncRef}},
		"ref.func":     {"\xd2\x05", wasmbin.Instruction{Op: wasmbin.OpRefFunc, First: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			w := wasmbin.NewWalker(wasmbin.NewReader([]byte(c.code+"\x01\x0b\x0b"), at))
			w.Begin()
			require.True(t, w.Next(), "%v", w.Err)
			c.want.At = at
			require.Equal(t, c.want, w.Instruction)
			require.Equal(t, c.code, string(w.Raw()))
			if name == "local" || name == "call_indirect" { // not in the shortest form
				require.Less(t, len(w.Append(nil)), len(c.code)+1)
			} else {
				require.Equal(t, c.code, string(w.Append(nil)))
			}
			require.True(t, w.Next())
			require.Equal(t, at+len(c.code), w.At)
			require.Equal(t, wasmbin.OpNop, w.Op)
		})
	}
}

// Labels of a branch table are read one by one, or skipped.
func TestLabels(t *testing.T) {
	const code = "\x02\x40\x0e\x02\x01\x00\x81\x01\x01\x0b\x0b"
	w := wasmbin.NewWalker(wasmbin.NewReader([]byte(code), 0))
	w.Begin()
	require.True(t, w.Next())
	require.True(t, w.Next())
	require.Equal(t, uint32(2), w.First)
	require.Equal(t, uint32(1), w.Label())
	require.Equal(t, uint32(0), w.Label())
	require.Equal(t, code[2:8], string(w.Raw()), "with the label that nobody has read")
	require.Equal(t, code[2:8], string(w.Append(nil)))
	require.Equal(t, 2, w.Depth())
	n := 0
	for w.Next() {
		n++
	}
	require.NoError(t, w.Err)
	require.Equal(t, 3, n)
	require.Zero(t, w.Left())
}

// Where the walker stops, and why.
func TestStops(t *testing.T) {
	for code, says := range map[string]string{
		"\x01":                     "at byte 1: ends in the middle of an item",
		"\x02\x40\x0b":             "at byte 3: ends",
		"\x20":                     "at byte 1: ends",
		"\x0e\xff\xff\xff\xff\x0f": "at byte 6: ends",
		"\x12\x00\x0b":             "the instruction return_call, whose immediates are not known",
		"\x27\x0b":                 "the instruction 0x27",
		"\x02\x64\x01\x0b\x0b":     "a value type that refers to another type", // which would be lost when it is written
		"\xfd\x9a\x01\x0b":         "the instruction 0xfd 154",
		"\xfc\x80\x02\x0b":         "the instruction 0xfc",
		"\xfd\x80\x80\x04\x0b":     "the instruction 0xfd",
		"\xfd\x0c0123456789":       "16 bytes, and 10 are left",
	} {
		w := wasmbin.NewWalker(wasmbin.NewReader([]byte(code), 0))
		for w.Begin(); w.Next(); {
		}
		require.ErrorIs(t, w.Err, wasmbin.ErrMalformed, "% x", code)
		require.ErrorContains(t, w.Err, says, "% x", code)
	}
	w := wasmbin.NewWalker(wasmbin.NewReader([]byte("\x01\x0b\x01"), 0))
	for w.Begin(); w.Next(); {
	}
	require.NoError(t, w.Err)
	require.Equal(t, 1, w.Left(), "bytes after the last end belong to something else")
}

// The table's numbers: how many instructions each feature has, and that each has a
// name.
func TestTable(t *testing.T) {
	count := make(map[wasmbin.Feature]int)
	seen := make(map[string]bool)
	for op := wasmbin.Opcode(0); op < wasmbin.Opcodes; op++ {
		if !op.Known() {
			require.Equal(t, wasmbin.LayoutUnread, op.Layout(), "%s", op)
			continue
		}
		count[op.Feature()]++
		first, number := op.Prefix()
		if op.Layout() != wasmbin.LayoutUnread {
			require.False(t, seen[op.String()], "%s twice", op)
			seen[op.String()] = true
			require.NotContains(t, op.String(), "0x", "% x %d has no name", first, number)
		}
		b := op.Append(nil)
		require.Equal(t, first, b[0])
		if len(b) > 1 {
			r := wasmbin.NewReader(b[1:], 0)
			require.Equal(t, number, r.U32())
		}
	}
	require.Equal(t, 172, count[wasmbin.FirstVersion])
	require.Equal(t, 5, count[wasmbin.SignExtension])
	require.Equal(t, 8, count[wasmbin.Saturating])
	require.Equal(t, 7, count[wasmbin.BulkMemory])
	require.Equal(t, 236, count[wasmbin.Vectors])
	require.Equal(t, "i32x4.dot_i16x8_s", wasmbin.Vector(186).String())
	require.Equal(t, "memory.fill", wasmbin.OpMemoryFill.String())
	require.EqualValues(t, 3, wasmbin.Vector(93).Align())
	require.Equal(t, 8, wasmbin.Vector(24).Lanes())
}

// The walker allocates nothing.
func TestWalkerAllocatesNothing(t *testing.T) {
	for name, wasm := range corpus(t) {
		if len(wasm) < 1<<20 {
			continue
		}
		m, err := wasmbin.Parse(wasm)
		require.NoError(t, err)
		n := 0
		require.Zero(t, testing.AllocsPerRun(3, func() { // whatever else allocates does so less than once in each
			n = 0
			r := m.Section(wasmbin.SectionCode).Reader()
			for bodies := r.Count("bodies"); bodies > 0; bodies-- {
				w := wasmbin.NewWalker(r.Sub(r.U32()))
				for groups := w.Count("groups"); groups > 0; groups-- {
					w.Locals()
				}
				for w.Begin(); w.Next(); {
					n++
				}
				if w.Err != nil || w.Left() > 0 {
					panic(name)
				}
			}
		}), name)
		require.Greater(t, n, 100_000, name)
	}
}

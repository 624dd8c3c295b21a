package wasmbin_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

func reader(s string) *wasmbin.Reader {
	r := wasmbin.NewReader([]byte(s), 100)
	return &r
}

// Numbers are written in the shortest form and read from any that fits.
func TestNumbers(t *testing.T) {
	for _, n := range []uint32{0, 1, 127, 128, 300, 1<<14 - 1, 1 << 14, 1<<31 - 1, 1 << 31, math.MaxUint32} {
		b := wasmbin.AppendU32(nil, n)
		r := reader(string(b))
		require.Equal(t, n, r.U32())
		r.End()
		require.NoError(t, r.Err)
	}
	for _, n := range []int64{0, 1, -1, 63, 64, -64, -65, 300, 1<<31 - 1, -1 << 31, math.MaxInt64, math.MinInt64} {
		b := wasmbin.AppendSigned(nil, n)
		r := reader(string(b))
		require.Equal(t, n, r.Signed(64))
		r.End()
		require.NoError(t, r.Err)
	}
	require.Equal(t, uint32(5), reader("\x85\x80\x80\x80\x00").U32())
	require.Equal(t, uint64(math.MaxUint64), reader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").U64())
	require.Equal(t, []byte{0xac, 2}, wasmbin.AppendSigned(nil, 300))
	require.Equal(t, []byte{0xdf, 0}, wasmbin.AppendSigned(nil, '_'))
}

// A fault says where it is, and nothing after it is read.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		read func(r *wasmbin.Reader)
		says string
	}{
		"too many bits":      {"\xff\xff\xff\xff\x1f", func(r *wasmbin.Reader) { r.U32() }, "at byte 105: a number that does not fit into 32 bits"},
		"too many bytes":     {"\x80\x80\x80\x80\x80\x00", func(r *wasmbin.Reader) { r.U32() }, "32 bits"},
		"signed":             {"\x80\x80\x80\x80\x80\x00", func(r *wasmbin.Reader) { r.Signed(32) }, "32 bits"},
		"64 bits":            {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", func(r *wasmbin.Reader) { r.U64() }, "64 bits"},
		"no end":             {"\x80", func(r *wasmbin.Reader) { r.U32() }, "at byte 101: ends in the middle of an item"},
		"bytes":              {"\x05abc", func(r *wasmbin.Reader) { r.Name() }, "at byte 101: an item of 5 bytes, and 3 are left"},
		"not UTF-8":          {"\x01\xff", func(r *wasmbin.Reader) { r.Name() }, "UTF-8"},
		"a count":            {"\x05abc", func(r *wasmbin.Reader) { r.Count("things") }, "5 things, and 3 bytes are left"},
		"a type":             {"\x01", func(r *wasmbin.Reader) { r.ValueType() }, "unknown value type 0x01"},
		"a form":             {"\x5f\x00", func(r *wasmbin.Reader) { r.FuncType() }, "0x5f"},
		"a reference":        {"\x63\x05\x00", func(r *wasmbin.Reader) { r.GlobalType() }, "refers to another type"},
		"mutability":         {"\x7f\x02", func(r *wasmbin.Reader) { r.GlobalType() }, "mutability 0x02"},
		"limits":             {"\x08\x00", func(r *wasmbin.Reader) { r.Memory() }, "limits 0x08 of a memory"},
		"limits upside":      {"\x70\x01\x02\x01", func(r *wasmbin.Reader) { r.Table() }, "a table of at least 2 and at most 1"},
		"an import":          {"\x01a\x01b\x07", func(r *wasmbin.Reader) { r.Import() }, "kind 0x07"},
		"data":               {"\x03", func(r *wasmbin.Reader) { r.Data() }, "kind 3"},
		"elements":           {"\x08", func(r *wasmbin.Reader) { r.Elements() }, "kind 8"},
		"an endless section": {"\x01\x7f", func(r *wasmbin.Reader) { r.Section() }, "127 bytes"},
		"an expression":      {"\x41\x00", func(r *wasmbin.Reader) { r.Expression() }, "ends in the middle"},
	} {
		t.Run(name, func(t *testing.T) {
			r := reader(c.in)
			c.read(r)
			require.ErrorIs(t, r.Err, wasmbin.ErrMalformed)
			require.ErrorContains(t, r.Err, c.says)
			require.Zero(t, r.Byte())
			require.ErrorContains(t, r.Err, c.says, "the first fault stays")
		})
	}
}

// Sizes of 64 bits come back whole.
func TestLimits(t *testing.T) {
	const memory = "\x05\xff\xff\xff\xff\xff\xff\xff\xff\xfe\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
	m := reader(memory).Memory()
	require.Equal(t, uint64(math.MaxUint64), m.Max)
	require.Equal(t, memory, string(m.Append(nil)))
	require.Equal(t, "\x00\x05", string(reader("\x00\x05").Memory().Append(nil)))
}

func TestNotWasm(t *testing.T) {
	for in, says := range map[string]string{"": `begins with ""`, "\x00asm\x0d\x00\x01\x00": "component", "\x00asm\x02\x00\x00\x00": "02 00 00 00"} {
		_, err := wasmbin.Parse([]byte(in))
		require.ErrorIs(t, err, wasmbin.ErrNotWasm)
		require.ErrorContains(t, err, says)
	}
	_, err := wasmbin.Parse([]byte("\x00asm\x01\x00\x00\x00\x0a\x05"))
	require.ErrorContains(t, err, "section code")
}

// A missing section is inserted where it belongs.
func TestSetPutsInOrder(t *testing.T) {
	m := new(wasmbin.Module)
	m.Set(wasmbin.SectionCustom, []byte("\x01a"))
	for _, id := range []byte{11, 10, 12, 9, 8, 7, 6, 13, 5, 4, 3, 2, 1} {
		m.Set(id, []byte{0})
	}
	m.Set(wasmbin.SectionCustom, []byte("\x01b"))
	m.Set(wasmbin.SectionMemory, []byte{1, 0, 1})
	var order []byte
	for _, s := range m.Sections {
		order = append(order, s.ID)
	}
	require.Equal(t, []byte{0, 1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11, 0}, order)
	again, err := wasmbin.Parse(m.Append(nil))
	require.NoError(t, err)
	require.Equal(t, []byte{1, 0, 1}, again.Section(wasmbin.SectionMemory).Content)
	s, _ := again.Custom("b")
	require.Equal(t, &again.Sections[14], s)
	s, _ = again.Custom("none")
	require.Nil(t, s)
}

// The walker reads an added function as it was written.
func TestCode(t *testing.T) {
	var c wasmbin.Code
	c.Op(wasmbin.OpLocalGet, 300)
	c.I32(-1)
	c.Op(wasmbin.OpI32Add)
	c.Block(wasmbin.OpIf, wasmbin.NoResult)
	c.I64(1 << 40)
	c.Op(wasmbin.OpDrop)
	c.Op(wasmbin.OpEnd)
	c.Op(wasmbin.OpMemoryCopy, 0, 0)
	body := c.Body(wasmbin.Locals{Count: 2, Type: wasmbin.I32}, wasmbin.Locals{Count: 1, Type: wasmbin.F64})
	w := wasmbin.NewWalker(wasmbin.NewReader(body, 0))
	require.Equal(t, 2, w.Count("groups"))
	require.Equal(t, wasmbin.Locals{Count: 2, Type: wasmbin.I32}, w.Locals())
	require.Equal(t, wasmbin.Locals{Count: 1, Type: wasmbin.F64}, w.Locals())
	var names []string
	for w.Begin(); w.Next(); {
		names = append(names, w.Op.String())
	}
	w.End()
	require.NoError(t, w.Err)
	require.Equal(t, []string{"local.get", "i32.const", "i32.add", "if", "i64.const", "drop", "end", "memory.copy", "end"}, names)
}

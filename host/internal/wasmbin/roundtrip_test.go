package wasmbin_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// rewrite takes apart every section whose items have a type here, and writes the items and
// every instruction of every body again. It returns false for a module that cannot be
// read.
func rewrite(t testing.TB, wasm []byte) ([]byte, bool) {
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, false
	}
	again := rewriter{t: t, m: m, ok: true}
	items(&again, wasmbin.SectionType, (*wasmbin.Reader).FuncType)
	items(&again, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	items(&again, wasmbin.SectionFunction, (*wasmbin.Reader).Index)
	items(&again, wasmbin.SectionTable, (*wasmbin.Reader).Table)
	items(&again, wasmbin.SectionMemory, (*wasmbin.Reader).Memory)
	items(&again, wasmbin.SectionGlobal, (*wasmbin.Reader).Global)
	items(&again, wasmbin.SectionExport, (*wasmbin.Reader).Export)
	items(&again, wasmbin.SectionElement, (*wasmbin.Reader).Elements)
	items(&again, wasmbin.SectionData, (*wasmbin.Reader).Data)
	again.names()
	again.bodies()
	return m.Append(nil), again.ok
}

type rewriter struct {
	t  testing.TB
	m  *wasmbin.Module
	ok bool // everything could be read
}

// items assembles a section from its items, which must be the same when they are read
// again.
func items[T wasmbin.Item](a *rewriter, id byte, read func(*wasmbin.Reader) T) {
	s := a.m.Section(id)
	if s == nil {
		return
	}
	before := s.Content
	list, err := wasmbin.Items(a.m, id, read)
	if err != nil {
		require.ErrorIs(a.t, err, wasmbin.ErrMalformed)
		a.ok = false
		return
	}
	wasmbin.SetItems(a.m, id, list)
	a.same(before, a.m.Section(id).Content)
	got, err := wasmbin.Items(a.m, id, read)
	require.NoError(a.t, err)
	if !reflect.DeepEqual(list, got) {
		a.t.Fatalf("section %s: %+v became %+v", wasmbin.SectionName(id), list, got)
	}
}

// same compares what was written with what was read. It must not be longer, and if it is
// as long, the bytes must be the same, which means that each number was written as short
// as possible.
func (a *rewriter) same(before, after []byte) {
	if len(after) > len(before) {
		a.t.Fatalf("% x became longer: % x", before, after)
	}
	if len(after) == len(before) && !bytes.Equal(before, after) && !loose(before, after) {
		a.t.Fatalf("% x became % x", before, after)
	}
}

// loose reports whether they may differ all the same: in the ignored bits of a signed
// number's last byte.
func loose(before, after []byte) bool {
	for i := range before {
		if x := before[i] ^ after[i]; x&0x8f != 0 {
			return false
		}
	}
	return true
}

// names writes the function names again.
func (a *rewriter) names() {
	s, r := a.m.Custom("name")
	if s == nil {
		return
	}
	out := wasmbin.AppendBytes(nil, "name")
	for r.More() {
		id, content := r.Subsection()
		part := wasmbin.Subsection{ID: id, Content: content.Rest()}
		if id == wasmbin.NamesFunctions {
			var list []wasmbin.Naming
			for n := content.Count("names"); n > 0 && content.Err == nil; n-- {
				list = append(list, content.Naming())
			}
			if content.End(); content.Err == nil {
				part.Content = wasmbin.AppendItems(nil, list)
			}
		}
		out = part.Append(out)
	}
	if r.Err != nil {
		a.ok = false
		return
	}
	a.same(s.Content, out)
	s.Content = out
}

// bodies copies the bodies one instruction after another.
func (a *rewriter) bodies() {
	bodies, err := wasmbin.Items(a.m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
	if err != nil || len(bodies) == 0 {
		a.ok = a.ok && err == nil
		return
	}
	for i, body := range bodies {
		w := wasmbin.NewWalker(wasmbin.NewReader(body, 0))
		var out wasmbin.Body
		groups := w.Count("groups of locals")
		out = wasmbin.AppendU32(out, uint32(groups))
		for ; groups > 0 && w.Err == nil; groups-- {
			out = w.Locals().Append(out)
		}
		var raw []byte
		for w.Begin(); w.Next(); {
			from := len(out)
			out = w.Append(out)
			raw = append(raw[:0], w.Raw()...)
			if w.Err == nil {
				a.same(raw, out[from:])
			}
		}
		if w.End(); w.Err != nil {
			a.ok = false
			return
		}
		require.Zero(a.t, w.Depth())
		bodies[i] = out
	}
	wasmbin.SetItems(a.m, wasmbin.SectionCode, bodies)
}

// What toolchains write comes out unchanged if numbers are as short as possible, and
// otherwise means the same.
func TestRewritten(t *testing.T) {
	exact := 0
	for name, wasm := range corpus(t) {
		m, err := wasmbin.Parse(wasm)
		require.NoError(t, err, name)
		if plain := m.Append(nil); len(plain) == len(wasm) {
			require.True(t, bytes.Equal(wasm, plain), name)
		}
		before, why := preflight.Parse(wasm, preflight.Limits{})
		out, ok := rewrite(t, wasm)
		if why != nil {
			continue
		}
		require.True(t, ok, name)
		if bytes.Equal(wasm, out) {
			exact++
		}
		after, err := preflight.Parse(out, preflight.Limits{})
		require.NoError(t, err, name)
		require.Equal(t, before.Exports, after.Exports, name)
		require.Equal(t, before.Imports, after.Imports, name)
		require.Equal(t, before.CompileCost, after.CompileCost, name)
		again, ok := rewrite(t, out)
		require.True(t, ok)
		require.True(t, bytes.Equal(out, again), "%s: a canonical module does not stay as it is", name)
	}
	require.Greater(t, exact, 50, "modules that come out byte by byte")
}

// FuzzRewrite: what can be read means the same when it is written again, and what is
// written in the shortest way stays the same, byte by byte.
func FuzzRewrite(f *testing.F) {
	for _, wasm := range corpus(f) {
		if len(wasm) < 1<<10 {
			f.Add(wasm)
		}
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		out, ok := rewrite(t, wasm)
		if !ok {
			return
		}
		again, ok := rewrite(t, out)
		if !ok || !bytes.Equal(out, again) {
			t.Fatalf("% x\nis written as % x\nand then as % x", wasm, out, again)
		}
		before, whyBefore := preflight.ValidateAll(wasm, preflight.Limits{})
		after, whyAfter := preflight.ValidateAll(out, preflight.Limits{})
		if (whyBefore == nil) != (whyAfter == nil) {
			t.Fatalf("refused before: %v, after: %v", whyBefore, whyAfter)
		}
		if whyBefore == nil && (before.CompileCost != after.CompileCost || !reflect.DeepEqual(before.Exports, after.Exports)) {
			t.Fatalf("it means another thing: %+v and %+v", before, after)
		}
	})
}

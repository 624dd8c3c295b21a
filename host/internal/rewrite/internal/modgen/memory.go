package modgen

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// MaxPages is the most pages that a memory may have where generated modules run.
const MaxPages = 16

const pageSize = 1 << 16

func (g *generator) declareMemory() {
	limits := wasmbin.Limits{Min: uint64(g.n(3))}
	if g.oneIn(2) {
		limits.Flags, limits.Max = wasmbin.HasMax, limits.Min+uint64(g.n(4))
	}
	g.memories = []wasmbin.Memory{{Limits: limits}}
	if size := int(limits.Min) * pageSize; size > 0 || g.oneIn(30) {
		g.declareData(size)
	}
}

// declareData makes segments in runs with small gaps, as linkers do, and others anywhere,
// of which some overlap and a few do not fit.
func (g *generator) declareData(size int) {
	at := g.n(max(size, 1))
	if g.oneIn(2) {
		at = g.n(256)
	}
	count := g.n(6)
	if g.oneIn(6) {
		count = g.between(6, 60)
	}
	for range count {
		length := g.n(20)
		if g.oneIn(8) {
			length = g.n(300)
		}
		segment := wasmbin.Data{Bytes: make([]byte, length)}
		if !g.oneIn(4) {
			for i := range segment.Bytes {
				segment.Bytes[i] = byte(g.n(256))
			}
		}
		switch {
		case g.oneIn(6):
			segment.Mode = wasmbin.DataPassive
		default:
			if g.oneIn(8) {
				segment.Mode = wasmbin.DataIndexed
			}
			if g.oneIn(10) {
				at = g.n(max(size, 1))
			}
			if at+length > size && !g.oneIn(60) {
				at = max(size-length, 0)
			}
			var offset wasmbin.Code
			offset.I32(int32(at))
			segment.Offset = offset.Expression()
			at += length + pick(g.choices, []int{0, 0, 0, 1, 3, 8, 63, 64, 65, 500})
		}
		g.data = append(g.data, segment)
	}
}

func (g *generator) declareTable() {
	g.tableSize = uint32(g.between(1, 12))
	limits := wasmbin.Limits{Min: uint64(g.tableSize)}
	if g.oneIn(2) {
		limits.Flags, limits.Max = wasmbin.HasMax, limits.Min+uint64(g.n(4))
	}
	g.tables = []wasmbin.Table{{Type: wasmbin.FuncRef, Limits: limits}}
	for range g.between(1, 4) {
		var e wasmbin.Elements
		for range g.n(int(g.tableSize) + 1) {
			e.Functions = append(e.Functions, uint32(g.n(len(g.funcs))))
		}
		if g.oneIn(30) {
			e.Mode = wasmbin.ElementsPassive
		} else {
			var offset wasmbin.Code
			offset.I32(int32(g.n(int(g.tableSize) - len(e.Functions) + 1)))
			e.Offset = offset.Expression()
			if g.oneIn(3) {
				e.Mode = wasmbin.ElementsIndexed // with a table and a kind
			}
		}
		g.elements = append(g.elements, e)
	}
}

package interp

import (
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// price computes what each entry and each loop costs. The call of a leaf weighs as much
// as the leaf's entry besides, so leaves come first, from those that call nothing up.
func (m *Module) price() {
	apart := m.apart()
	for i := range m.funcs {
		m.priceFunction(&m.funcs[i])
	}
	for changed := true; changed; {
		changed = false
		for i := range m.funcs {
			if f := &m.funcs[i]; !f.leaf && !f.imported && !apart[i] && m.mayBeLeaf(f) {
				if m.priceFunction(f); f.region <= rewrite.LeafWeight {
					f.leaf, changed = true, true
				}
			}
		}
	}
	for i := range m.funcs {
		m.priceFunction(&m.funcs[i])
	}
}

// apart are functions that are called from elsewhere than direct calls.
func (m *Module) apart() map[int]bool {
	apart := map[int]bool{m.start: true}
	for _, f := range m.exports {
		apart[int(f)] = true
	}
	for _, e := range m.elements {
		for _, f := range e.Functions {
			apart[int(f)] = true
		}
	}
	return apart
}

// mayBeLeaf reports whether a function has nothing that a leaf must not have, as far as
// leaves are known.
func (m *Module) mayBeLeaf(f *function) bool {
	for i := range f.code {
		switch in := &f.code[i]; in.Op {
		case wasmbin.OpLoop, wasmbin.OpCallIndirect, wasmbin.OpMemoryGrow, wasmbin.OpMemoryCopy, wasmbin.OpMemoryFill,
			wasmbin.OpMemoryInit, wasmbin.OpTableCopy, wasmbin.OpTableInit:
			return false
		case wasmbin.OpCall:
			if !m.funcs[in.First].leaf {
				return false
			}
		}
	}
	return true
}

// priceFunction sums up the regions of a function. Entries of leaves are known or 0.
func (m *Module) priceFunction(f *function) {
	if f.imported {
		return
	}
	f.region = int64(len(f.locals)) / rewrite.LocalsPerUnit
	labels := []int{len(f.t.Results)} // how many values each label takes
	loops := []*int64{&f.region}      // the region that each block is in
	for i := range f.code {
		in := &f.code[i]
		region := loops[len(loops)-1]
		weight := rewrite.Weight(in.Op)
		taken := func(label uint32) int64 { return int64(labels[len(labels)-1-int(label)]) }
		switch in.Op {
		case wasmbin.OpCall:
			callee := &m.funcs[in.First]
			weight += calling(callee.t)
			switch {
			case callee.imported:
				weight += rewrite.ImportWeight
			case callee.leaf:
				weight += callee.region
			}
		case wasmbin.OpCallIndirect:
			if weight += calling(m.types[in.First]); m.importInTable() {
				weight += rewrite.ImportWeight
			}
		case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
			weight += int64(len(in.block.Params) + len(in.block.Results))
		case wasmbin.OpBr, wasmbin.OpBrIf:
			weight += taken(in.First)
		case wasmbin.OpBrTable:
			weight += taken(in.labels[len(in.labels)-1])
		case wasmbin.OpReturn:
			weight += int64(len(f.t.Results))
		}
		*region += weight
		switch in.Op {
		case wasmbin.OpBlock, wasmbin.OpIf:
			labels, loops = append(labels, len(in.block.Results)), append(loops, region)
		case wasmbin.OpLoop:
			in.region = 0
			labels, loops = append(labels, len(in.block.Params)), append(loops, &in.region)
		case wasmbin.OpEnd:
			labels, loops = labels[:len(labels)-1], loops[:len(loops)-1]
		}
	}
}

// calling is what a call weighs for the values that it passes.
func calling(t wasmbin.FuncType) int64 { return int64(len(t.Params) + len(t.Results)) }

// importInTable reports whether an indirect call may lead to an imported function.
func (m *Module) importInTable() bool {
	for _, e := range m.elements {
		for _, f := range e.Functions {
			if m.funcs[f].imported {
				return true
			}
		}
	}
	return false
}

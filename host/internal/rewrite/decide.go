package rewrite

import (
	"cmp"
	"slices"
)

// Bounds of what lies between two checks.
const (
	maxReach = 1 << 16 // units of fuel that functions without a check may charge
	maxChain = 8 << 10 // bytes of stack that functions that do not count theirs may take
)

// decide says of each function whether it is a leaf, counts its stack, and checks at
// its entry.
func (m *module) decide() {
	m.priceImports()
	order := m.count()
	for _, i := range order {
		m.addStack(&m.own[i])
		m.priceLeaves(&m.own[i], i)
	}
	entries := int64(0) // the most that an indirect call charges before a check
	for i := range m.own {
		if m.hasReference(i) {
			entries = max(entries, m.entry(&m.own[i]))
		}
	}
	for _, i := range order {
		m.decideCheck(&m.own[i], i, entries)
	}
}

// priceImports adds the weight of an imported function to indirect calls, if one may
// be called that way.
func (m *module) priceImports() {
	for _, indirect := range m.indirect[:m.imported] {
		if !indirect {
			continue
		}
		for _, p := range m.points {
			if p.kind == pointIndirect {
				m.regions[p.region] += ImportWeight
			}
		}
		return
	}
}

// addStack adds up the stack that a function takes, with those that it calls up to the
// next that count theirs. If that is much, it counts its own.
func (m *module) addStack(f *function) {
	f.chain = f.frame
	for _, c := range m.callsOf(f) {
		if callee := &m.own[c.callee]; !callee.counted {
			f.chain = max(f.chain, f.frame+callee.chain)
		}
	}
	f.counted = f.counted || f.chain > maxChain
}

// priceLeaves adds the leaves that a function calls to its regions, and finds out
// whether it is one itself.
func (m *module) priceLeaves(f *function, i int) {
	f.leaf = !f.counted && f.regions.to-f.regions.from == 1 && f.indirect == 0 && f.lengths == 0 && !f.imports &&
		!m.reachable[int(m.imported)+i]
	for _, c := range m.callsOf(f) {
		callee := &m.own[c.callee]
		if callee.leaf {
			m.regions[c.region] += m.entry(callee)
		}
		f.leaf = f.leaf && callee.leaf
	}
	f.leaf = f.leaf && m.entry(f) <= LeafWeight
}

// decideCheck decides whether a function checks at its entry. One that need not charges
// fuel all the same, and its callers check soon enough. What an indirect call leads to
// always checks.
func (m *module) decideCheck(f *function, i int, entries int64) {
	f.reach = f.short + int64(f.indirect)*entries
	for _, weight := range m.regions[f.regions.from:f.regions.to] {
		f.reach += weight
	}
	for _, c := range m.callsOf(f) {
		switch callee := &m.own[c.callee]; {
		case callee.leaf:
		case callee.checked || callee.counted:
			f.reach += m.entry(callee)
		default:
			f.reach += callee.reach
		}
	}
	f.checked = f.checked || f.counted || m.hasReference(i) || f.reach > maxReach
	if f.reach > maxReach {
		m.checkCallees(f)
	}
}

// checkCallees makes functions that a function calls check at their entry, until what the
// others charge, taken together, is not too much. Its own check comes before all of them.
func (m *module) checkCallees(f *function) {
	reach, sum := make(map[uint32]int64), int64(0)
	var unchecked []uint32
	for _, c := range m.callsOf(f) {
		callee := &m.own[c.callee]
		if callee.leaf || callee.checked || callee.counted {
			continue
		}
		if _, seen := reach[c.callee]; !seen {
			unchecked = append(unchecked, c.callee)
		}
		reach[c.callee] += callee.reach
		sum += callee.reach
	}
	slices.SortFunc(unchecked, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(reach[b], reach[a]), cmp.Compare(a, b))
	})
	for _, i := range unchecked {
		if sum <= maxReach {
			return
		}
		m.own[i].checked = true
		sum -= reach[i]
	}
}

// indirectChains returns the stack that an indirect call may take, by its type.
func (m *module) indirectChains() []int64 {
	most := make(map[string]int64) // equal types are one
	for i := range m.own {
		if f := &m.own[i]; m.hasReference(i) && !f.counted {
			key := m.typeKey(f.sig)
			most[key] = max(most[key], f.chain)
		}
	}
	chains := make([]int64, len(m.types))
	for i := range chains {
		chains[i] = max(most[m.typeKey(uint32(i))], frameBase)
	}
	return chains
}

// longestChain is the most stack that calls take from one place that counts it up to
// the next, or from the host.
func (m *module) longestChain() (most int64) {
	for i := range m.own {
		most = max(most, m.own[i].chain)
	}
	return most
}

func (m *module) typeKey(t uint32) string { return string(m.types[t].Append(nil)) }

// entry is the weight of a function's entry.
func (m *module) entry(f *function) int64 { return m.regions[f.regions.from] }

// callsOf are the direct calls of a function.
func (m *module) callsOf(f *function) []call { return m.calls[f.calls.from:f.calls.to] }

// hasReference reports whether an indirect call may lead to a function that the module
// defines.
func (m *module) hasReference(i int) bool { return m.indirect[int(m.imported)+i] }

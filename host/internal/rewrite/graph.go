package rewrite

// count picks the functions that count their stack, so that every circle of direct
// calls goes through one. It returns the functions such that each comes after those
// that it calls, as far as these are not counted.
//
// The fewest possible is a hard problem. A few rounds take the function of each circle
// that most calls meet in; in what programs have, such as Go's morestack, that is
// nearly all. Whatever is left after them is taken by the order of a search, so that
// time stays proportional to the number of calls.
func (m *module) count() (order []int) {
	for round := 0; ; round++ {
		g := search{m: m, number: make([]int32, len(m.own)), low: make([]int32, len(m.own)), last: round == maxRounds}
		for i := range m.own {
			if g.number[i] == 0 && !m.own[i].counted {
				g.visit(i)
			}
		}
		if !g.found {
			for i := range m.own {
				if m.own[i].counted {
					g.order = append(g.order, i)
				}
			}
			return g.order
		}
	}
}

const maxRounds = 24

// search is Tarjan's search for strongly connected components.
type search struct {
	m           *module
	number, low []int32 // number is negative once the component is complete
	next        int32
	stack       []int
	order       []int
	last        bool // the last round: count what a call leads back to
	found       bool // a circle
}

func (g *search) visit(i int) {
	g.next++
	g.number[i], g.low[i] = g.next, g.next
	g.stack = append(g.stack, i)
	self := false
	f := &g.m.own[i]
	for _, c := range g.m.calls[f.calls.from:f.calls.to] {
		j := int(c.callee)
		if g.m.own[j].counted {
			continue
		}
		switch {
		case j == i:
			self = true
		case g.number[j] == 0:
			g.visit(j)
			g.low[i] = min(g.low[i], g.low[j])
		case g.number[j] > 0: // on the stack
			g.low[i] = min(g.low[i], g.number[j])
			if g.last {
				g.m.own[j].counted, g.found = true, true
			}
		}
	}
	if self {
		f.counted, g.found = true, true
	}
	if g.low[i] != g.number[i] {
		return
	}
	from := len(g.stack) - 1
	for g.stack[from] != i {
		from--
	}
	component := g.stack[from:]
	g.stack = g.stack[:from]
	for _, j := range component {
		g.number[j] = -g.number[j]
	}
	g.order = append(g.order, component...)
	if len(component) > 1 && !g.last {
		g.found = true
		g.m.own[g.m.hub(component, g.number)].counted = true
	}
}

// hub returns the function in which most calls of a component meet: calls of it, times
// calls by it.
func (m *module) hub(component []int, number []int32) int {
	in, out := make(map[int]int, len(component)), make(map[int]int, len(component))
	for _, i := range component {
		in[i] = 0
	}
	for _, i := range component {
		f := &m.own[i]
		for _, c := range m.calls[f.calls.from:f.calls.to] {
			if _, inside := in[int(c.callee)]; inside {
				in[int(c.callee)]++
				out[i]++
			}
		}
	}
	best := component[0]
	for _, i := range component {
		if a, b := in[i]*out[i], in[best]*out[best]; a > b || a == b && i < best {
			best = i
		}
	}
	return best
}

package untangle

import (
	"slices"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// graph is how the regions of a function follow each other, from the first one on.
type graph struct {
	falls    []bool  // the code goes on in the next region
	after    [][]int // by region: those that may follow
	order    []int   // the regions that are reached, each before those that follow except by a jump back
	number   []int   // by region: its place in order, -1 if it is not reached
	above    []int   // by region: the one that immediately dominates it
	children [][]int // by region: those that it immediately dominates, in order
	loops    []bool  // by region: there is a jump back to it
}

func newGraph(o *form) *graph {
	n := len(o.regions)
	g := &graph{
		falls: make([]bool, n), after: make([][]int, n), number: make([]int, n),
		above: make([]int, n), children: make([][]int, n), loops: make([]bool, n),
	}
	for r, code := range o.regions {
		for _, i := range code {
			if i.op == opJump && !slices.Contains(g.after[r], int(i.first)) {
				g.after[r] = append(g.after[r], int(i.first))
			}
		}
		if g.falls[r] = r < n-1 && goesOn(code); g.falls[r] && !slices.Contains(g.after[r], r+1) {
			g.after[r] = append(g.after[r], r+1)
		}
	}
	g.sort()
	g.dominate()
	return g
}

// goesOn reports whether the end of a region is reached. It may be wrong about what never
// happens, such as a call that panics and returns.
func goesOn(code []instruction) bool {
	for _, i := range slices.Backward(code) {
		switch i.op {
		case wasmbin.OpNop:
			continue
		case opJump, opUnwind, wasmbin.OpBr, wasmbin.OpReturn, wasmbin.OpUnreachable, wasmbin.OpBrTable:
			return false
		}
		return true
	}
	return true
}

// sort finds the reverse of the order in which a depth-first search leaves the regions.
func (g *graph) sort() {
	for r := range g.number {
		g.number[r] = -1
	}
	type visit struct{ region, next int }
	seen := make([]bool, len(g.after))
	stack := []visit{{}}
	seen[0] = true
	for len(stack) > 0 {
		v := &stack[len(stack)-1]
		if v.next < len(g.after[v.region]) {
			to := g.after[v.region][v.next]
			v.next++
			if !seen[to] {
				seen[to] = true
				stack = append(stack, visit{region: to})
			}
			continue
		}
		g.order = append(g.order, v.region)
		stack = stack[:len(stack)-1]
	}
	slices.Reverse(g.order)
	for n, r := range g.order {
		g.number[r] = n
	}
}

// dominate finds the dominators (Cooper, Harvey and Kennedy, 2001).
func (g *graph) dominate() {
	before := make([][]int, len(g.after))
	for _, r := range g.order {
		for _, to := range g.after[r] {
			before[to] = append(before[to], r)
		}
	}
	for r := range g.above {
		g.above[r] = -1
	}
	g.above[0] = 0
	for changed := true; changed; {
		changed = false
		for _, r := range g.order[1:] {
			above := -1
			for _, b := range before[r] {
				switch {
				case g.above[b] < 0:
				case above < 0:
					above = b
				default:
					above = g.common(above, b)
				}
			}
			if g.above[r] != above {
				g.above[r], changed = above, true
			}
		}
	}
	for _, r := range g.order[1:] {
		g.children[g.above[r]] = append(g.children[g.above[r]], r)
	}
}

func (g *graph) common(a, b int) int {
	for a != b {
		for g.number[a] > g.number[b] {
			a = g.above[a]
		}
		for g.number[b] > g.number[a] {
			b = g.above[b]
		}
	}
	return a
}

// nests reports whether each jump back goes to a region that dominates it, and notes
// where loops begin.
func (g *graph) nests() bool {
	for _, r := range g.order {
		for _, to := range g.after[r] {
			if g.number[to] > g.number[r] {
				continue
			}
			if g.common(to, r) != to {
				return false
			}
			g.loops[to] = true
		}
	}
	return true
}

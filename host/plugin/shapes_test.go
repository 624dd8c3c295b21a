package plugin_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// shape is a module in a few numbers, for the search for modules that compile
// slowly. Each function has the same parts, one after the other.
type shape struct {
	Functions  int    `json:",omitempty"` // with the parts
	Empty      int    `json:",omitempty"` // empty ones, after the others
	Globals    int    `json:",omitempty"` // mutable, beside the four that parts use
	Types      int    `json:",omitempty"` // that no function has
	TypeParams int    `json:",omitempty"` // of each of those
	Params     int    `json:",omitempty"` // of the functions, i32
	Results    int    `json:",omitempty"`
	Locals     int    `json:",omitempty"` // declared, i32
	Parts      []part `json:",omitempty"`
}

// part is a piece of code that takes nothing from the stack and leaves nothing
// there, so that parts stand in any order and within each other.
type part struct {
	Kind   string
	N      int    // times
	M      int    `json:",omitempty"` // depends on the kind
	Inside []part `json:",omitempty"` // depends on the kind
}

// The most that a shape may have of each limited thing.
const (
	mostBody      = 256 << 10
	mostFunctions = 1<<16 - 64
	mostDepth     = 1 << 12
	mostLocals    = 1 << 14
)

// writer writes one function.
type writer struct {
	shape
	b     []byte
	depth int
	next  int // the local whose turn it is
}

func (w *writer) put(s string)       { w.b = append(w.b, s...) }
func (w *writer) number(n int)       { w.b = append(w.b, uleb(n)...) }
func (w *writer) full() bool         { return len(w.b) > mostBody-4096 }
func (w *writer) op(s string, n int) { w.put(s); w.number(n) }

func (w *writer) local() int {
	all := w.Params + w.Locals
	if all == 0 {
		return 0
	}
	w.next++
	return w.next % all
}

// global returns one of the shape's globals, an i32.
func (w *writer) global(i int) int {
	if w.Globals == 0 {
		return 0
	}
	return 4 + i%w.Globals
}

// partKinds are the kinds of parts. Each function writes a part once; i is how often
// it was written before.
var partKinds map[string]func(w *writer, p part, i int)

func init() {
	partKinds = writePartKinds // a plain initialisation would be circular
	sortedPartKinds = slices.Sorted(maps.Keys(partKinds))
}

var sortedPartKinds []string

var writePartKinds = map[string]func(w *writer, p part, i int){
	"nop":   func(w *writer, _ part, _ int) { w.put("\x01") },
	"get":   func(w *writer, _ part, _ int) { w.op("\x20", w.local()); w.put("\x1a") },
	"keep":  func(w *writer, _ part, _ int) { w.op("\x20", w.local()); w.op("\x24", 0) },
	"set":   func(w *writer, _ part, _ int) { w.put("\x41\x01"); w.op("\x21", w.local()) },
	"fill":  func(w *writer, _ part, _ int) { w.put("\x41\x00\x28\x02\x00"); w.op("\x21", w.local()) },
	"move":  func(w *writer, _ part, _ int) { w.op("\x20", w.local()); w.op("\x21", w.local()) },
	"store": func(w *writer, _ part, _ int) { w.put("\x41\x00"); w.op("\x20", w.local()); w.put("\x36\x02\x00") },
	"load": func(w *writer, _ part, _ int) {
		w.op("\x20", w.local())
		w.put("\x28\x02\x00")
		w.op("\x21", w.local())
	},
	"chase": func(w *writer, p part, _ int) {
		w.op("\x20", 0)
		w.put(strings.Repeat("\x28\x02\x00", p.M+1))
		w.op("\x21", 0)
	},
	"global": func(w *writer, p part, i int) { w.op("\x23", w.global(i)); w.put("\x1a") },
	"gkeep":  func(w *writer, p part, i int) { w.op("\x23", w.global(i)); w.op("\x24", 0) },
	"gset":   func(w *writer, p part, i int) { w.op("\x20", w.local()); w.op("\x24", w.global(i)) },
	"call":   func(w *writer, _ part, _ int) { w.op("\x10", 0) },
	"icall":  func(w *writer, _ part, _ int) { w.put("\x41\x00\x11\x00\x00") },
	// Calls of the function itself, with all its parameters and results.
	"self": func(w *writer, _ part, _ int) {
		for range w.Params {
			w.op("\x20", w.local())
		}
		w.op("\x10", len(contractExports))
		w.put(strings.Repeat("\x1a", w.Results))
	},
	"pass": func(w *writer, p part, _ int) { // results that are parameters, again and again
		if w.Params != w.Results || w.Params == 0 {
			return
		}
		for range w.Params {
			w.op("\x20", w.local())
		}
		for range p.M + 1 {
			w.op("\x10", len(contractExports))
		}
		w.put(strings.Repeat("\x1a", w.Results))
	},
	"self_indirectly": func(w *writer, _ part, _ int) {
		for range w.Params {
			w.op("\x20", w.local())
		}
		w.op("\x41\x00\x11", len(contractExports))
		w.put("\x00" + strings.Repeat("\x1a", w.Results))
	},
	"grow":  func(w *writer, _ part, _ int) { w.put("\x41\x00\x40\x00\x1a") },
	"mfill": func(w *writer, _ part, _ int) { w.put("\x41\x00\x41\x00\x41\x00\xfc\x0b\x00") },
	"mcopy": func(w *writer, _ part, _ int) { w.put("\x41\x00\x41\x00\x41\x00\xfc\x0a\x00\x00") },
	"tcopy": func(w *writer, _ part, _ int) { w.put("\x41\x00\x41\x00\x41\x00\xfc\x0e\x00\x00") },
	"op":    func(w *writer, p part, _ int) { writeOperation(w, operations1[p.M%len(operations1)], 0) },
	"ops":   func(w *writer, p part, _ int) { writeOperation(w, operations1[p.M%len(operations1)], 30) },

	"block": func(w *writer, p part, _ int) { w.nest("\x02\x40", "\x0b", p) },
	"loop":  func(w *writer, p part, _ int) { w.nest("\x03\x40", "\x0b", p) },
	"if":    func(w *writer, p part, _ int) { w.op("\x20", w.local()); w.nest("\x04\x40", "\x0b", p) },
	"else": func(w *writer, p part, _ int) {
		w.op("\x20", w.local())
		w.nest("\x04\x40", "", p)
		w.put("\x05\x0b")
	},
	// A loop that goes round.
	"round": func(w *writer, p part, _ int) {
		w.nest("\x03\x40", "", p)
		w.op("\x20", w.local())
		w.put("\x0d\x00\x0b")
	},
	// M within each other.
	"deep_loops": func(w *writer, p part, _ int) {
		w.deep("\x03\x40", p, func() { w.op("\x20", w.local()); w.put("\x0d\x00\x0b") })
	},
	"deep_blocks": func(w *writer, p part, _ int) {
		w.deep("\x02\x40", p, func() { w.op("\x20", w.local()); w.put("\x0d\x00\x0b") })
	},
	"deep_ifs": func(w *writer, p part, _ int) { w.deep("\x20\x00\x04\x40", p, func() { w.put("\x0b") }) },
	"br_if":    func(w *writer, p part, _ int) { w.op("\x20", w.local()); w.op("\x0d", p.M%(w.depth+1)) },
	// A block with M ways out.
	"exits": func(w *writer, p part, _ int) {
		w.put("\x02\x40")
		w.depth++
		for i := 0; i < p.M && !w.full(); i++ {
			w.op("\x20", w.local())
			w.put("\x0d\x00")
			w.parts(p.Inside)
		}
		w.depth--
		w.put("\x0b")
	},
	"br_table": func(w *writer, p part, _ int) {
		w.put("\x02\x40")
		w.depth++
		w.parts(p.Inside)
		w.op("\x20", w.local())
		w.op("\x0e", p.M)
		for i := range p.M + 1 {
			w.number(i % min(w.depth, 100))
		}
		w.depth--
		w.put("\x0b")
	},
	// M values on the stack around what is inside.
	"stack": func(w *writer, p part, _ int) {
		m := min(p.M, 10_000)
		for range m {
			w.put("\x41\x00\x28\x02\x00")
		}
		w.parts(p.Inside)
		w.put(strings.Repeat("\x1a", m))
	},
	"stack_kept": func(w *writer, p part, _ int) {
		m := min(p.M, 10_000)
		for range m {
			w.put("\x41\x00\x28\x02\x00")
		}
		w.parts(p.Inside)
		w.put(strings.Repeat("\x6a", max(0, m-1)))
		if m > 0 {
			w.put("\x24\x00")
		}
	},
	// A block that takes and gives the parameters of the function.
	"wide": func(w *writer, p part, _ int) {
		if w.Params != w.Results || w.Params == 0 {
			return
		}
		for range w.Params {
			w.op("\x20", w.local())
		}
		begin := []string{"\x02", "\x03"}[p.M%2]
		w.depth++
		w.op(begin, len(contractExports))
		for i := 0; i < 1+p.M/2 && !w.full(); i++ {
			w.op("\x20", w.local())
			w.put("\x0d\x00")
			w.parts(p.Inside)
		}
		w.put("\x0b")
		w.depth--
		w.put(strings.Repeat("\x1a", w.Results))
	},
}

func (w *writer) nest(begin, end string, p part) {
	w.put(begin)
	w.depth++
	w.parts(p.Inside)
	w.depth--
	w.put(end)
}

func (w *writer) deep(begin string, p part, end func()) {
	n := 0
	for ; n < p.M && w.depth < mostDepth-1 && len(w.b) < mostBody/3; n++ {
		w.put(begin)
		w.depth++
	}
	w.parts(p.Inside)
	for ; n > 0; n-- {
		end()
		w.depth--
	}
}

func (w *writer) parts(parts []part) {
	for _, p := range parts {
		write := partKinds[p.Kind]
		for i := 0; i < p.N && !w.full() && w.depth < mostDepth-1; i++ {
			write(w, p, i)
		}
	}
}

// body returns the code of a function of the shape.
func (s shape) body() string {
	if s.Params+s.Locals == 0 {
		s.Locals = 1 // parts use one
	}
	w := &writer{shape: s}
	groups := []string{}
	if s.Locals > 0 {
		groups = append(groups, string(uleb(s.Locals))+"\x7f")
	}
	operations := s.has("op") || s.has("ops")
	if operations {
		for i := range len(typedLocals) {
			groups = append(groups, "\x01"+typedLocals[i:i+1])
		}
	}
	w.put(vector(groups...))
	if operations {
		for i, load := range []string{"\x29\x03\x00", "\x2a\x02\x00", "\x2b\x03\x00", "\xfd\x00\x04\x00"} {
			w.put("\x41\x00" + load)
			w.op("\x21", w.typed(typedLocals[i]))
		}
	}
	w.parts(s.Parts)
	w.put(strings.Repeat("\x41\x00", s.Results))
	w.put("\x0b")
	return string(w.b)
}

// shapeGlobals are the globals that parts use, one of each number type.
var shapeGlobals = []string{"\x7f\x01\x41\x00\x0b", "\x7e\x01\x42\x00\x0b", "\x7d\x01\x43\x00\x00\x00\x00\x0b",
	"\x7c\x01\x44\x00\x00\x00\x00\x00\x00\x00\x00\x0b"}

// module returns a guest with the functions of the shape.
func (s shape) module() []byte {
	i32s := func(n int) string { return vector(same(n, "\x7f")...) }
	m := guestParts{
		further: append(same(s.Functions, s.body()), same(s.Empty, "\x00"+strings.Repeat("\x41\x00", s.Results)+"\x0b")...),
		types:   []string{"\x60" + i32s(s.Params) + i32s(s.Results)},
		globals: slices.Clone(shapeGlobals),
	}
	for range s.Globals {
		m.globals = append(m.globals, "\x7f\x01\x41\x00\x0b")
	}
	for i := range s.Types { // each is different
		own := []byte(strings.Repeat("\x7f", s.TypeParams))
		for j := 0; j < len(own) && j < 8; j++ {
			own[j] = "\x7f\x7e\x7d\x7c"[i>>(2*j)&3]
		}
		m.types = append(m.types, "\x60"+vector(strings.Split(string(own), "")...)+"\x00")
	}
	return m.module()
}

// has reports whether there is such a part.
func (s shape) has(kind string) bool {
	var in func(parts []part) bool
	in = func(parts []part) bool {
		return slices.ContainsFunc(parts, func(p part) bool { return p.Kind == kind || in(p.Inside) })
	}
	return in(s.Parts)
}

// mutate returns a shape that differs a little.
func (s shape) mutate(r *rand.Rand) shape {
	s.Parts = cloneParts(s.Parts)
	scale := func(n *int, most int) {
		switch r.IntN(6) {
		case 0:
			*n = min(most, *n*2)
		case 1:
			*n /= 2
		case 2:
			*n = min(most, *n+1+*n/4)
		case 3:
			*n -= min(*n, 1+*n/5)
		case 4:
			*n = min(most, 1<<r.IntN(15))
		default:
			*n = min(most, *n*(2+r.IntN(8)))
		}
	}
	for range 1 + r.IntN(3) {
		switch r.IntN(16) {
		case 0:
			scale(&s.Empty, mostFunctions-s.Functions)
		case 1:
			scale(&s.Globals, 1<<13-4)
		case 2:
			scale(&s.Types, 1<<14-32)
		case 3:
			scale(&s.TypeParams, 256)
		case 4:
			scale(&s.Params, 256)
		case 5:
			scale(&s.Results, 256)
		case 6:
			scale(&s.Locals, mostLocals-256)
		case 7:
			s.Results = s.Params
		default:
			s.Parts = mutateParts(s.Parts, r, scale, 0)
		}
	}
	return s
}

func cloneParts(parts []part) []part {
	all := make([]part, len(parts))
	for i, p := range parts {
		p.Inside = cloneParts(p.Inside)
		all[i] = p
	}
	return all
}

func randomPart(r *rand.Rand) part {
	kinds := sortedPartKinds
	return part{Kind: kinds[r.IntN(len(kinds))], N: 1 << r.IntN(13), M: r.IntN(1 << r.IntN(12))}
}

func mutateParts(parts []part, r *rand.Rand, scale func(*int, int), depth int) []part {
	if len(parts) == 0 || r.IntN(5) == 0 && len(parts) < 5 {
		p := randomPart(r)
		if len(parts) > 0 && r.IntN(3) == 0 { // around an existing one
			i := r.IntN(len(parts))
			p.Inside, p.N = []part{parts[i]}, 1
			parts[i] = p
			return parts
		}
		at := r.IntN(len(parts) + 1)
		return append(parts[:at:at], append([]part{p}, parts[at:]...)...)
	}
	i := r.IntN(len(parts))
	p := &parts[i]
	switch r.IntN(7) {
	case 0:
		return append(parts[:i:i], parts[i+1:]...)
	case 1:
		p.Kind = randomPart(r).Kind
	case 2, 3:
		scale(&p.N, 1<<17)
		p.N = max(p.N, 1)
	case 4:
		scale(&p.M, 1<<13)
	default:
		if depth < 4 {
			p.Inside = mutateParts(p.Inside, r, scale, depth+1)
		}
	}
	return parts
}

package plugin_test

import (
	"bytes"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// These functions write modules in binary form whose text would be too large to keep.

func module(sections ...[]byte) []byte {
	return append(wasmbin.AppendHeader(nil), slices.Concat(sections...)...)
}

func section(id byte, content string) []byte { return wasmbin.AppendSection(nil, id, content) }

func uleb(n int) []byte { return wasmbin.AppendU32(nil, uint32(n)) }

func sleb(n int64) []byte { return wasmbin.AppendSigned(nil, n) }

// vector is a number of items.
func vector(items ...string) string { return string(uleb(len(items))) + strings.Join(items, "") }

// text is a name.
func text(s string) string { return string(wasmbin.AppendBytes(nil, s)) }

// contractExports are the exports of version 1: for each, its parameters and
// results.
var contractExports = []struct{ name, params, results string }{
	{"session_abi_v1", "", ""},
	{"session_alloc", "\x7f", "\x7f"},
	{"session_open", "\x7f\x7f", "\x7e"},
	{"session_get", "\x7f\x7f\x7e", "\x7e"},
	{"session_set", "\x7f\x7f\x7f\x7f\x7e\x7e\x7e", "\x7e"},
	{"session_delete", "\x7f\x7f\x7e", "\x7e"},
	{"session_clear", "\x7e", "\x7e"},
	{"session_save", "\x7e", "\x7e"},
	{"_initialize", "", ""},
	{"session_describe", "", "\x7e"},
	{"session_touch", "\x7f\x7f\x7e\x7e", "\x7e"},
	{"session_sweep", "\x7e\x7f", "\x7e"},
	{"session_flush", "\x7e\x7f", "\x7e"},
	{"session_keys", "\x7e\x7e", "\x7e"},
	{"session_snapshot", "\x7e\x7e", "\x7e"},
	{"session_restore", "\x7f\x7f\x7e", "\x7e"},
	{"session_stats", "", "\x7e"},
}

// guestWith returns a guest with all exports of the contract. Its functions return
// zeros, or 1024 for the exchange buffer. The function named wrong has the given
// signature. Further functions have the given bodies, and the type () -> () or
// another.
func guestWith(wrong, params, results string, further []string, furtherType string) []byte {
	return guestParts{wrong: wrong, params: params, results: results, further: further, types: []string{furtherType}}.module()
}

// guestParts are the parts of such a guest.
type guestParts struct {
	wrong, params, results string
	further                []string // bodies, of the first type of
	types                  []string
	globals                []string // an i32 if there are none
	elements               string   // a section's content, none if empty
	sections               []byte   // behind all others

	first        string   // the export that begins with a call of the last of further
	imports      []string // before all other functions
	kinds        []int    // which of types a function of further has
	pages, table int      // 0 for one
	data         int      // bytes of a passive segment, which comes first
	active       []string // other segments
}

func (g guestParts) module() []byte {
	var types, functions, exports, bodies []string
	exports = append(exports, text("memory")+"\x02\x00")
	imported := len(g.imports)
	for i, e := range contractExports {
		if e.name == g.wrong {
			e.params, e.results = g.params, g.results
		}
		types = append(types, "\x60"+text(e.params)+text(e.results))
		functions = append(functions, string(uleb(i)))
		exports = append(exports, text(e.name)+"\x00"+string(uleb(imported+i)))
		code := "\x00"
		if e.name == g.first {
			code += "\x10" + string(uleb(imported+len(contractExports)+len(g.further)-1))
		}
		for _, r := range e.results {
			switch {
			case e.name == "session_alloc":
				code += "\x41\x80\x08"
			case r == '\x7e':
				code += "\x42\x00"
			default:
				code += "\x41\x00"
			}
		}
		bodies = append(bodies, text(code+"\x0b"))
	}
	types = append(types, g.types...)
	for i, code := range g.further {
		kind := 0
		if i < len(g.kinds) {
			kind = g.kinds[i]
		}
		functions = append(functions, string(uleb(len(contractExports)+kind)))
		bodies = append(bodies, text(code))
	}
	if len(g.globals) == 0 {
		g.globals = []string{"\x7f\x01\x41\x00\x0b"}
	}
	var elements []byte
	if g.elements != "" {
		elements = section(9, g.elements)
	}
	var imports, count []byte
	if imported > 0 {
		imports = section(2, vector(g.imports...))
	}
	segments := g.active
	if g.data > 0 {
		segments = append([]string{"\x01" + text(strings.Repeat("x", g.data))}, segments...)
		count = section(12, string(uleb(len(segments))))
	}
	if len(segments) > 0 {
		g.sections = append(section(11, vector(segments...)), g.sections...)
	}
	return module(
		section(1, vector(types...)),
		imports,
		section(3, vector(functions...)),
		section(4, "\x01\x70\x00"+string(uleb(max(g.table, 1)))),
		section(5, "\x01\x00"+string(uleb(max(g.pages, 1)))),
		section(6, vector(g.globals...)),
		section(7, vector(exports...)),
		elements,
		count,
		section(10, vector(bodies...)),
		g.sections)
}

const plain = "\x60\x00\x00" // the type () -> ()

func bomb(bodies ...string) []byte { return guestWith("", "", "", bodies, plain) }

func same(n int, body string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = body
	}
	return all
}

// Parts of the functions of bombs.
const (
	load    = "\x41\x00\x28\x02\x00"         // i32.const 0, i32.load: an unknown value
	ifElse  = load + "\x04\x40\x05\x0b"      // if, else, end
	oneLoop = "\x03\x40\x41\x00\x0d\x00\x0b" // loop, br_if 0, end
)

// loopsOverLocals keeps a number of locals alive through successive loops: for each
// local, the compiler makes and removes a parameter in each loop.
func loopsOverLocals(locals, loops int) string {
	var b bytes.Buffer
	b.WriteString("\x01" + string(uleb(locals)) + "\x7f")
	for i := range locals {
		b.WriteString("\x41\x01\x21" + string(uleb(i)))
	}
	b.WriteString(strings.Repeat(oneLoop, loops))
	for i := range locals {
		b.WriteString("\x20" + string(uleb(i)) + "\x1a")
	}
	return b.String() + "\x0b"
}

// ifsOverLocals does the same with branches that come together again.
func ifsOverLocals(locals, ifs int) string {
	var b bytes.Buffer
	b.WriteString("\x01" + string(uleb(locals)) + "\x7f")
	for i := range locals {
		b.WriteString(load + "\x21" + string(uleb(i)))
	}
	b.WriteString(strings.Repeat(ifElse, ifs))
	for i := range locals {
		b.WriteString("\x41\x00\x20" + string(uleb(i)) + "\x36\x02\x00")
	}
	return b.String() + "\x0b"
}

// ifsOverStack keeps the values on the operand stack.
func ifsOverStack(values, ifs int) string {
	return "\x00" + strings.Repeat(load, values) + strings.Repeat(ifElse, ifs) + strings.Repeat("\x1a", values) + "\x0b"
}

// nestedOverLocals reads locals from within nested loops.
func nestedOverLocals(locals, loops int) string {
	var b bytes.Buffer
	b.WriteString("\x01" + string(uleb(locals)) + "\x7f")
	b.WriteString(strings.Repeat("\x03\x40", loops))
	for i := range locals {
		b.WriteString("\x20" + string(uleb(i)) + "\x21" + string(uleb((i+1)%locals)))
	}
	b.WriteString(strings.Repeat("\x41\x00\x0d\x00\x0b", loops))
	return b.String() + "\x0b"
}

// nested has only nested blocks, with a branch out of each.
func nested(blocks int) string {
	return "\x00" + strings.Repeat("\x02\x40", blocks) + strings.Repeat("\x41\x00\x0d\x00\x0b", blocks) + "\x0b"
}

// branchTable has a branch with a number of targets.
func branchTable(targets int) string {
	return "\x00\x02\x40\x41\x00\x0e" + string(uleb(targets)) + strings.Repeat("\x00", targets+1) + "\x0b\x0b"
}

func repeated(times int, code string) string { return "\x00" + strings.Repeat(code, times) + "\x0b" }

// atMost returns the module of the largest n that a host lets through under limits, and
// through those for a module with meters.
func atMost(limits preflight.Limits, most int, make func(n int) []byte) []byte {
	low, high := 1, most+1
	for high-low > 1 {
		middle := (low + high) / 2
		wasm := make(middle)
		if _, err := preflight.Parse(wasm, limits); err == nil && plugin.FitsMetered(wasm, pluginLimits(limits)) {
			low = middle
		} else {
			high = middle
		}
	}
	return make(low)
}

package plugin_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// tiring describes a guest that computes in one of its exports for as long as it is let.
type tiring struct {
	name      string
	does      string            // what the export does, as assemble reads it
	functions []string          // others, f0, f1 and so on
	kinds     []string          // their types; () -> () for those that are missing
	locals    []wasmbin.Locals  // of what the export does
	imports   []tiringImport    // i0, i1 and so on
	pages     int               // of memory; one if it is 0
	table     int               // entries of the table, which are f0; one if it is 0
	data      int               // bytes of a passive segment
	active    map[uint32]string // what is in memory at first
}

// tiringImport is a function that the guest imports.
type tiringImport struct{ module, name, kind string }

// in returns the module of a guest that does it in that export. In another it does
// nothing, unless the export is none of the contract's.
func (g tiring) in(export string) []byte {
	var parts guestParts
	kind := func(k string) int {
		if k == "" {
			k = plain
		}
		parts.types = append(parts.types, k)
		return len(parts.types) - 1
	}
	var imports []string
	for _, i := range g.imports {
		imports = append(imports, text(i.module)+text(i.name)+"\x00"+string(uleb(len(contractExports)+kind(i.kind))))
	}
	for i, f := range append(g.functions, g.does) {
		k := ""
		if i < len(g.kinds) {
			k = g.kinds[i]
		}
		var locals []wasmbin.Locals
		if i == len(g.functions) {
			locals = g.locals
		}
		parts.kinds = append(parts.kinds, kind(k))
		parts.further = append(parts.further, string(g.assemble(f).Body(locals...)))
	}
	parts.first, parts.imports = export, imports
	parts.pages, parts.table, parts.data = max(g.pages, 1), max(g.table, 1), g.data
	if len(g.functions) > 0 {
		parts.elements = "\x01\x00\x41\x00\x0b" + vector(same(parts.table, string(uleb(len(imports)+len(contractExports))))...)
	}
	var segments []string
	for at, content := range g.active {
		segments = append(segments, "\x00\x41"+string(sleb(int64(at)))+"\x0b"+text(content))
	}
	parts.active = segments
	return parts.module()
}

// assemble reads instructions and their immediates, divided by spaces. Blocks have no
// result. f3 is the index of the guest's fourth function, i0 that of its first import,
// and "(" … ")" with a number in front of it is repeated so often.
func (g tiring) assemble(source string) (c wasmbin.Code) {
	tokens := strings.Fields(source)
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		if n, ok := strings.CutSuffix(t, "("); ok {
			depth, from := 1, i+1
			for depth > 0 {
				i++
				depth += strings.Count(tokens[i], "(") - strings.Count(tokens[i], ")")
			}
			once := g.assemble(strings.Join(tokens[from:i], " "))
			for range number(n) {
				c.Code(once)
			}
			continue
		}
		if op, ok := instructionNames[t]; ok {
			c = op.Append(c)
			if op == wasmbin.OpBlock || op == wasmbin.OpLoop || op == wasmbin.OpIf {
				c = append(c, byte(wasmbin.NoResult))
			}
			continue
		}
		switch before := instructionNames[tokens[max(i-1, 0)]]; {
		case t[0] == 'f':
			c = wasmbin.AppendU32(c, uint32(len(g.imports)+len(contractExports)+number(t[1:])))
		case t[0] == 'i':
			c = wasmbin.AppendU32(c, uint32(number(t[1:])))
		case before == wasmbin.OpI32Const, before == wasmbin.OpI64Const:
			c = wasmbin.AppendSigned(c, int64(number(t)))
		default:
			c = wasmbin.AppendU32(c, uint32(number(t)))
		}
	}
	return c
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

var instructionNames = func() map[string]wasmbin.Opcode {
	names := make(map[string]wasmbin.Opcode)
	for op := range wasmbin.Opcode(wasmbin.Opcodes) {
		names[op.String()] = op
	}
	return names
}()

// tirings are the ways of computing without an end that are tried. Each ends by a bound
// on what it computes.
func tirings() []tiring {
	const mib, gib = 1 << 20, 1 << 30
	const i32 = "\x60\x01\x7f\x00"
	number := wasmbin.Locals{Count: 1, Type: wasmbin.I32}
	wide := func(deep, times int, bottom string) (f []string) {
		f = append(f, bottom)
		for i := range deep {
			f = append(f, fmt.Sprintf("%d( call f%d )", times, i))
		}
		return f
	}
	wasi := func(name, params string) []tiringImport {
		return []tiringImport{{abi.ModuleWASI, name, "\x60" + text(params) + "\x01\x7f"}}
	}
	// Vectors for WASI at 16: a megabyte from 65536 on. A name at 64.
	vectors := map[uint32]string{16: "\x00\x00\x01\x00\x00\x00\x10\x00", 64: "name", 65536: strings.Repeat("\n", mib)}
	return []tiring{
		{name: "loop", does: "loop br 0 end"},
		{name: "loop with a condition", does: "loop i32.const 1 br_if 0 end"},
		{name: "loop in loops", does: "loop loop loop br 2 end end end"},
		{name: "branch table", does: "loop loop i32.const 7 br_table 2 0 1 1 end br 0 end"},
		{name: "calls of nothing", does: "loop call f0 br 0 end", functions: []string{""}},
		{name: "calls by table", does: "loop i32.const 0 call_indirect 17 0 br 0 end", functions: []string{""}},
		{name: "wide calls, 31 deep", does: "call f31", functions: wide(31, 2, "")},
		{name: "wide calls of what is no leaf", does: "loop call f2 br 0 end",
			functions: []string{"i32.const 0 66( i32.eqz ) drop", "300( call f0 )", "20000( call f1 )"}},
		{name: "wide calls by table", does: "loop i32.const 0 call_indirect 17 0 br 0 end",
			functions: []string{"300( call f1 )", "300( call f2 )", "300( call f3 )", "i32.const 0 66( i32.eqz ) drop"}},
		{name: "recursion up and down", does: "loop i32.const 1500 call f0 br 0 end", kinds: []string{i32},
			functions: []string{"local.get 0 if local.get 0 i32.const 1 i32.sub call f0 end"}},
		{name: "division", does: "loop 1000( i64.const 7 i64.const 3 i64.rem_s drop ) br 0 end"},
		{name: "numbers that are almost zero", locals: []wasmbin.Locals{{Count: 1, Type: wasmbin.F64}},
			does: "i64.const 7 f64.reinterpret_i64 local.set 0 loop 1000( local.get 0 i64.const 4607182418800017409 f64.reinterpret_i64 f64.mul local.set 0 ) br 0 end"},
		{name: "fill of a gigabyte", pages: gib >> 16, does: "loop i32.const 0 i32.const 1 i32.const 1073741824 memory.fill 0 br 0 end"},
		{name: "fills of a gigabyte, without a loop", pages: gib >> 16, does: "1000( i32.const 0 i32.const 1 i32.const 1073741824 memory.fill 0 )"},
		{name: "copies of half a gigabyte, without a loop", pages: gib >> 16,
			does: "1000( i32.const 1 i32.const 0 i32.const 1073741823 memory.copy 0 0 i32.const 0 i32.const 536870912 i32.const 536870912 memory.copy 0 0 )"},
		{name: "small fills, without a loop", does: "call f2", functions: wide(2, 1000, "100( i32.const 0 i32.const 1 i32.const 65536 memory.fill 0 )")},
		{name: "memory from a segment", data: mib, pages: 17, does: "loop i32.const 0 i32.const 0 i32.const 1048576 memory.init 0 0 br 0 end"},
		{name: "table copies", table: 1 << 18, functions: []string{""}, does: "loop i32.const 0 i32.const 0 i32.const 262144 table.copy 0 0 br 0 end"},
		{name: "growing by a page", does: "loop i32.const 1 memory.grow 0 drop br 0 end"},
		{name: "growing by nothing", does: "loop i32.const 0 memory.grow 0 drop br 0 end"},
		{name: "growing by too much", does: "loop i32.const -1 memory.grow 0 drop br 0 end"},
		{name: "reads far apart", pages: gib >> 18, locals: []wasmbin.Locals{number},
			does: "loop 100( local.get 0 i32.load 2 0 local.get 0 i32.const 1664525 i32.mul i32.const 1013904223 i32.add i32.const 268435452 i32.and i32.add local.set 0 ) br 0 end"},
		{name: "a store in each page", pages: gib >> 18, locals: []wasmbin.Locals{number},
			does: "loop 4( local.get 0 i32.const 1 i32.store 2 0 local.get 0 i32.const 4096 i32.add i32.const 268435455 i32.and local.set 0 ) br 0 end"},
		{name: "log", imports: []tiringImport{{abi.ModuleName, abi.ImportLog, "\x60\x03\x7f\x7f\x7f\x00"}}, active: vectors, pages: 17,
			does: "loop i32.const 3 i32.const 64 i32.const 4 call i0 br 0 end"},
		{name: "log of a megabyte", imports: []tiringImport{{abi.ModuleName, abi.ImportLog, "\x60\x03\x7f\x7f\x7f\x00"}}, active: vectors, pages: 17,
			does: "loop i32.const 3 i32.const 65536 i32.const 1048576 call i0 br 0 end"},
		{name: "fail", imports: []tiringImport{{abi.ModuleName, abi.ImportFail, "\x60\x02\x7f\x7f\x00"}}, active: vectors, pages: 17,
			does: "loop i32.const 65536 i32.const 1048576 call i0 br 0 end"},
		{name: "random_get of 48 MiB", imports: wasi("random_get", "\x7f\x7f"), pages: 800, does: "loop i32.const 0 i32.const 50331648 call i0 drop br 0 end"},
		{name: "random_get of 48 MiB, without a loop", imports: wasi("random_get", "\x7f\x7f"), pages: 800, does: "call f2",
			functions: wide(2, 1000, "1000( i32.const 0 i32.const 50331648 call i0 drop )")},
		{name: "random_get of a byte", imports: wasi("random_get", "\x7f\x7f"), does: "loop i32.const 0 i32.const 1 call i0 drop br 0 end"},
		{name: "clock_time_get", imports: wasi("clock_time_get", "\x7f\x7e\x7f"), does: "loop i32.const 0 i64.const 1 i32.const 8 call i0 drop br 0 end"},
		{name: "clock_res_get", imports: wasi("clock_res_get", "\x7f\x7f"), does: "loop i32.const 0 i32.const 8 call i0 drop br 0 end"},
		{name: "sched_yield", imports: wasi("sched_yield", ""), does: "loop call i0 drop br 0 end"},
		{name: "poll_oneoff", imports: wasi("poll_oneoff", "\x7f\x7f\x7f\x7f"), pages: 4, does: "loop i32.const 0 i32.const 65536 i32.const 1024 i32.const 8 call i0 drop br 0 end"},
		{name: "args_sizes_get", imports: wasi("args_sizes_get", "\x7f\x7f"), does: "loop i32.const 0 i32.const 8 call i0 drop br 0 end"},
		{name: "environ_get", imports: wasi("environ_get", "\x7f\x7f"), does: "loop i32.const 0 i32.const 8 call i0 drop br 0 end"},
		{name: "sock_shutdown", imports: wasi("sock_shutdown", "\x7f\x7f"), does: "loop i32.const 0 i32.const 0 call i0 drop br 0 end"},
		{name: "fd_write of newlines", imports: wasi("fd_write", "\x7f\x7f\x7f\x7f"), active: vectors, pages: 17,
			does: "loop i32.const 1 i32.const 16 i32.const 1 i32.const 8 call i0 drop br 0 end"},
		{name: "fd_write of nothing", imports: wasi("fd_write", "\x7f\x7f\x7f\x7f"), does: "loop i32.const 1 i32.const 16 i32.const 1024 i32.const 8 call i0 drop br 0 end"},
		{name: "fd_read", imports: wasi("fd_read", "\x7f\x7f\x7f\x7f"), active: vectors, pages: 17,
			does: "loop i32.const 0 i32.const 16 i32.const 1 i32.const 8 call i0 drop br 0 end"},
		{name: "fd_renumber", imports: wasi("fd_renumber", "\x7f\x7f"), does: "loop i32.const 0 i32.const 4096 call i0 drop i32.const 4096 i32.const 0 call i0 drop br 0 end"},
		{name: "path_open", imports: wasi("path_open", "\x7f\x7f\x7f\x7f\x7f\x7e\x7e\x7f\x7f"), active: vectors, pages: 17,
			does: "loop i32.const 3 i32.const 0 i32.const 64 i32.const 4 i32.const 1 i64.const 64 i64.const 64 i32.const 0 i32.const 8 call i0 drop br 0 end"},
		{name: "path_create_directory", imports: wasi("path_create_directory", "\x7f\x7f\x7f"), active: vectors, pages: 17,
			does: "loop i32.const 3 i32.const 64 i32.const 4 call i0 drop br 0 end"},
	}
}

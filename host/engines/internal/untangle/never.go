package untangle

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// ends are functions of Go's runtime that never return to the code behind their call: they
// end the program, or unwind and go on elsewhere.
var ends = func() map[string]bool {
	m := make(map[string]bool)
	for _, name := range []string{
		"sigpanic", "morestack", "morestack_noctxt", "gopanic", "throw", "fatal", "fatalthrow",
		"goPanicIndex", "goPanicIndexU", "goPanicSliceAlen", "goPanicSliceAlenU", "goPanicSliceAcap", "goPanicSliceAcapU",
		"goPanicSliceB", "goPanicSliceBU", "goPanicSlice3Alen", "goPanicSlice3AlenU", "goPanicSlice3Acap", "goPanicSlice3AcapU",
		"goPanicSlice3B", "goPanicSlice3BU", "goPanicSlice3C", "goPanicSlice3CU", "goPanicSliceConvert",
		"panicdivide", "panicshift", "panicoverflow", "panicmem", "panicdottypeE", "panicdottypeI", "panicnildottype",
		"panicwrap", "panicrangestate", "panicunsafeslicelen", "panicunsafeslicenilptr", "panicunsafestringlen", "panicunsafestringnilptr",
	} {
		m["runtime."+name] = true
	}
	return m
}()

// trapBehindEnds puts a trap behind each call that never returns there, and so shows that
// the code behind it is not reached from it. What follows such a call is, as a rule, where
// another jump goes.
func (w *work) trapBehindEnds(c []instruction) []instruction {
	out := make([]instruction, 0, len(c)+len(c)/16)
	for n := 0; n < len(c); n++ {
		out = append(out, c[n])
		if c[n].op != wasmbin.OpCall || !ends[w.names[c[n].first]] {
			continue
		}
		at := n + 1
		if at+1 < len(c) && c[at].is(wasmbin.OpGlobalGet, globalSP) && c[at+1].is(wasmbin.OpLocalSet, localSP) {
			at += 2 // which nothing needs
		}
		if at < len(c) && c[at].op == wasmbin.OpBrIf {
			out = append(out, c[at], instruction{op: wasmbin.OpUnreachable})
			n = at
		}
	}
	return out
}

package preflight

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// names checks the custom section of names. A runtime reads it for stack traces and
// believes its counts.
func (r *reader) names(l *Limits) {
	for r.More() {
		id, content := r.Section()
		sub := newReader(content, r.reasons)
		if r.Err != nil {
			return
		}
		switch id {
		case wasmbin.NamesModule:
			sub.name(1 << 16)
		case wasmbin.NamesFunctions:
			sub.nameMap(l)
		case wasmbin.NamesLocals:
			for n := sub.count("functions with named locals", 2*l.Functions); n > 0 && sub.Err == nil; n-- {
				sub.U32()
				sub.nameMap(l)
			}
		default:
			continue // part of the extended name section, skipped by its size
		}
		if sub.End(); sub.Err != nil {
			r.Err = sub.Err
			return
		}
	}
}

func (r *reader) nameMap(l *Limits) {
	for n := r.count("names", 2*l.Functions); n > 0 && r.Err == nil; n-- {
		r.U32()
		r.name(1 << 16)
	}
}

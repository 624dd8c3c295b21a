package preflight

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// available reports whether a guest may use the instruction.
func available(op wasmbin.Opcode) bool {
	switch op.Feature() {
	case wasmbin.FirstVersion, wasmbin.SignExtension, wasmbin.Saturating, wasmbin.BulkMemory, wasmbin.Vectors:
		return true
	}
	return false
}

// notAllowed refuses an instruction that a guest may not use, with the reason.
func (r *reader) notAllowed() {
	switch first, _ := r.Op.Prefix(); {
	case first == 0xfc:
		r.Err = feature("the instruction 0xfc %d (reference types are not available to a guest)", r.Number)
		return
	case first == 0xfd && r.Number > 255:
		r.Err = feature("the vector instruction 0xfd %d (relaxed SIMD is not available to a guest)", r.Number)
		return
	case first == 0xfd:
		r.Fail("an unknown instruction 0xfd %d", r.Number)
		return
	}
	name := unavailable[r.Op.Feature()]
	if name == "" {
		r.Fail("an unknown instruction 0x%02x", byte(r.Op))
		return
	}
	r.Err = feature("the instruction 0x%02x (%s are not available to a guest)", byte(r.Op), name)
}

// unavailable has the features that a guest may not use, as messages call them.
var unavailable = map[wasmbin.Feature]string{
	wasmbin.Exceptions:     "exceptions",
	wasmbin.TailCalls:      "tail calls or function references",
	wasmbin.ReferenceTypes: "reference types",
	wasmbin.Garbage:        "garbage-collected types",
	wasmbin.Threads:        "threads",
}

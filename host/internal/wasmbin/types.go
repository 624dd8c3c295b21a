package wasmbin

import (
	"slices"
	"strconv"
	"strings"
)

// ValueType is the type of a parameter, result, local or global, in its binary form.
// For a reference type in long form, it is only the first byte.
type ValueType byte

// The value types.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

const (
	refNull ValueType = 0x63 // the type referred to follows
	ref     ValueType = 0x64
)

// IsReference reports whether values of the type are references.
func (t ValueType) IsReference() bool {
	switch t {
	case FuncRef, ExternRef, refNull, ref, 0x6e, 0x6d, 0x69: // any, eq, exn
		return true
	}
	return false
}

// String returns the type's name in the text format.
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "0x" + strconv.FormatUint(uint64(t), 16)
}

// ValueType reads a value type. It skips the type that a reference in the longer form
// refers to.
func (r *Reader) ValueType() ValueType {
	t := ValueType(r.Byte())
	switch {
	case t >= V128 && t <= I32 || r.Err != nil:
	case t == refNull || t == ref:
		r.Signed(33)
	case !t.IsReference():
		r.Fail("an unknown value type 0x%02x", byte(t))
	}
	return t
}

// shortType reads a value type of one byte, which can be written back as it is.
func (r *Reader) shortType() ValueType {
	t := r.ValueType()
	if t == ref || t == refNull {
		r.longType()
	}
	return t
}

func (r *Reader) longType() { r.Fail("a value type that refers to another type, which is not read") }

// FuncType is a function's type.
type FuncType struct {
	Params, Results []ValueType
}

// Equal reports whether two types are the same.
func (t FuncType) Equal(other FuncType) bool {
	return slices.Equal(t.Params, other.Params) && slices.Equal(t.Results, other.Results)
}

// String writes the type as in "(i32, i64) -> i64".
func (t FuncType) String() string {
	var b strings.Builder
	list := func(types []ValueType) {
		b.WriteByte('(')
		for i, t := range types {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(t.String())
		}
		b.WriteByte(')')
	}
	list(t.Params)
	b.WriteString(" -> ")
	if len(t.Results) == 1 {
		b.WriteString(t.Results[0].String())
	} else {
		list(t.Results)
	}
	return b.String()
}

// Append appends the type in the form of the type section.
func (t FuncType) Append(b []byte) []byte {
	b = append(b, FormFunc)
	for _, types := range [][]ValueType{t.Params, t.Results} {
		b = AppendU32(b, uint32(len(types)))
		for _, t := range types {
			b = append(b, byte(t))
		}
	}
	return b
}

// FormFunc begins a function's type in the type section.
const FormFunc = 0x60

// FuncType reads an entry of the type section.
func (r *Reader) FuncType() (t FuncType) {
	if form := r.Byte(); r.Err == nil && form != FormFunc {
		r.Fail("a type of form 0x%02x: only functions (0x60) are read", form)
	}
	for _, types := range []*[]ValueType{&t.Params, &t.Results} {
		for n := r.Count("parameters or results of a type"); n > 0 && r.Err == nil; n-- {
			*types = append(*types, r.shortType())
		}
	}
	return t
}

// Kind is what an import or export is.
type Kind byte

// The kinds, in their binary form.
const (
	KindFunction Kind = 0
	KindTable    Kind = 1
	KindMemory   Kind = 2
	KindGlobal   Kind = 3
	KindTag      Kind = 4
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindFunction:
		return "function"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	case KindTag:
		return "tag"
	}
	return "0x" + strconv.FormatUint(uint64(k), 16)
}

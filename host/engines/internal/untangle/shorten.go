package untangle

import (
	"math"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// shorten replaces short sequences by shorter ones that do the same. onStack says that
// the function keeps the stack pointer in a local.
func shorten(c []instruction, onStack bool) []instruction {
	s := shortener{onStack: onStack, out: make([]instruction, 0, len(c))}
	for _, i := range c {
		if i.op == wasmbin.OpNop { // which stand where a function was inlined
			continue
		}
		s.out = append(s.out, i)
		for s.step() {
		}
	}
	if onStack {
		return dropStores(addToOffsets(s.out))
	}
	return s.out
}

type shortener struct {
	onStack bool
	out     []instruction
}

// op returns the opcode of one of the last instructions.
func (s *shortener) op(back int) wasmbin.Opcode {
	if n := len(s.out) - 1 - back; n >= 0 {
		return s.out[n].op
	}
	return wasmbin.OpNop
}

func (s *shortener) at(back int) *instruction { return &s.out[len(s.out)-1-back] }

// replace replaces the last instructions.
func (s *shortener) replace(n int, with ...instruction) bool {
	s.out = append(s.out[:len(s.out)-n], with...)
	return true
}

// step looks at the last instructions, and returns whether it changed them. What stands
// before an instruction that takes values has put the last of them on the stack.
func (s *shortener) step() bool {
	switch s.op(0) {
	case opI64Eqz: // of a condition
		if s.op(1) == wasmbin.OpI64ExtendU {
			return s.replace(2, instruction{op: wasmbin.OpI32Eqz})
		}
	case opI32Wrap:
		switch s.op(1) {
		case wasmbin.OpI64ExtendU:
			return s.replace(2)
		case wasmbin.OpI64Const:
			return s.replace(2, instruction{op: wasmbin.OpI32Const, value: int64(int32(s.at(1).value))})
		}
	case wasmbin.OpI32Eqz: // of a comparison
		if op, ok := inverse[s.op(1)]; ok {
			return s.replace(2, instruction{op: op})
		}
		if s.op(1) == opI64Eqz {
			return s.replace(2, instruction{op: wasmbin.OpI64Const}, instruction{op: opI64Ne})
		}
	case wasmbin.OpIf, wasmbin.OpBrIf: // not not
		if s.op(1) == wasmbin.OpI32Eqz && s.op(2) == wasmbin.OpI32Eqz {
			return s.replace(3, *s.at(0))
		}
	case wasmbin.OpEnd: // a jump under a condition
		if s.op(1) == wasmbin.OpBr && s.op(2) == wasmbin.OpIf && s.at(2).untyped() && s.at(1).first > 0 {
			return s.replace(3, instruction{op: wasmbin.OpBrIf, first: s.at(1).first - 1})
		}
	case opI64And: // of a value that has nothing to mask
		if s.op(1) == wasmbin.OpI64Const && s.at(1).value == math.MaxUint32 && small(s.out[:len(s.out)-2]) {
			return s.replace(2)
		}
	case wasmbin.OpReturn: // after the frame, and then the return address, is taken off the stack
		if n := len(s.out); s.onStack && n >= 12 && s.op(1) == wasmbin.OpI32Const && takesOff(s.out[n-12:n-7]) && takesOff(s.out[n-7:n-2]) {
			if by := s.at(10).value + s.at(5).value; by <= math.MaxInt32 {
				return s.replace(12, *s.at(11), instruction{op: wasmbin.OpI32Const, value: by}, instruction{op: wasmbin.OpI32Add},
					instruction{op: wasmbin.OpGlobalSet, first: globalSP}, *s.at(1), *s.at(0))
			}
		}
	}
	return false
}

// takesOff reports whether the instructions add a constant to the stack pointer.
func takesOff(c []instruction) bool {
	return c[0].is(wasmbin.OpLocalGet, localSP) && c[1].op == wasmbin.OpI32Const && c[2].op == wasmbin.OpI32Add &&
		c[3].is(wasmbin.OpLocalTee, localSP) && c[4].is(wasmbin.OpGlobalSet, globalSP)
}

// small reports whether the value that the code has put on the stack certainly is less
// than 2^32.
func small(c []instruction) bool {
	n := len(c)
	if n == 0 {
		return false
	}
	constant := n > 1 && c[n-2].op == wasmbin.OpI64Const
	switch c[n-1].op {
	case opI64Load8U, opI64Load16U, opI64Load32U, wasmbin.OpI64ExtendU:
		return true
	case opI64And:
		return constant && c[n-2].value >= 0 && c[n-2].value <= math.MaxUint32
	case wasmbin.OpI64ShrU:
		return constant && (c[n-2].value&63 >= 32 || small(c[:n-2]))
	}
	return false
}

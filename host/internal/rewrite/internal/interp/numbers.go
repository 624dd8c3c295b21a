package interp

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// access runs loads and stores.
func (f *frame) access(in *instr) bool {
	width, signed, to32 := 0, false, false
	switch op := in.Op; op {
	case 0x28, 0x2a, 0x36, 0x38, 0x34, 0x35, 0x3e:
		width, signed = 4, op == 0x34
	case 0x29, 0x2b, 0x37, 0x39:
		width = 8
	case 0x2c, 0x2d, 0x30, 0x31, 0x3a, 0x3c:
		width, signed, to32 = 1, op == 0x2c || op == 0x30, op == 0x2c
	case 0x2e, 0x2f, 0x32, 0x33, 0x3b, 0x3d:
		width, signed, to32 = 2, op == 0x2e || op == 0x32, op == 0x2e
	case wasmbin.Vector(0), wasmbin.Vector(11):
		width = 16
	default:
		return false
	}
	var b [16]byte
	if in.Op >= 0x36 && in.Op <= 0x3e || in.Op == wasmbin.Vector(11) {
		v := f.popWhole()
		binary.LittleEndian.PutUint64(b[:], v[0])
		binary.LittleEndian.PutUint64(b[8:], v[1])
		copy(f.span(f.pop()+uint64(in.MemOffset), uint32(width)), b[:])
		return true
	}
	copy(b[:], f.span(f.pop()+uint64(in.MemOffset), uint32(width)))
	v := Value{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
	if signed {
		shift := 64 - 8*width
		v[0] = uint64(int64(v[0]) << shift >> shift)
	}
	if to32 {
		v[0] = uint64(uint32(v[0]))
	}
	f.pushWhole(v)
	return true
}

// integer runs the arithmetic of integers. What both widths have is in both; the
// operands are extended as the operation needs them.
func (f *frame) integer(op wasmbin.Opcode) bool {
	switch {
	case op == 0x45 || op == 0x50:
		f.push32(truth(f.pop() == 0))
	case op >= 0x46 && op <= 0x4f:
		b, a := f.pop32(), f.pop32()
		f.push32(truth(compare(int(op-0x46), int64(int32(a)), int64(int32(b)), uint64(a), uint64(b))))
	case op >= 0x51 && op <= 0x5a:
		b, a := f.pop(), f.pop()
		f.push32(truth(compare(int(op-0x51), int64(a), int64(b), a, b)))
	case op >= 0x67 && op <= 0x69:
		a := f.pop32()
		f.push32(uint32([]int{bits.LeadingZeros32(a), bits.TrailingZeros32(a), bits.OnesCount32(a)}[op-0x67]))
	case op >= 0x79 && op <= 0x7b:
		a := f.pop()
		f.push(uint64([]int{bits.LeadingZeros64(a), bits.TrailingZeros64(a), bits.OnesCount64(a)}[op-0x79]))
	case op >= 0x6a && op <= 0x78:
		b, a := f.pop32(), f.pop32()
		f.push32(arithmetic32(int(op-0x6a), a, b))
	case op >= 0x7c && op <= 0x8a:
		b, a := f.pop(), f.pop()
		f.push(arithmetic64(int(op-0x7c), a, b))
	case op == 0xa7:
		f.push32(f.pop32())
	case op == 0xac:
		f.push(uint64(int64(int32(f.pop32()))))
	case op == 0xad:
		f.push(uint64(f.pop32()))
	case op == 0xc0:
		f.push32(uint32(int32(int8(f.pop()))))
	case op == 0xc1:
		f.push32(uint32(int32(int16(f.pop()))))
	case op == 0xc2:
		f.push(uint64(int64(int8(f.pop()))))
	case op == 0xc3:
		f.push(uint64(int64(int16(f.pop()))))
	case op == 0xc4:
		f.push(uint64(int64(int32(f.pop()))))
	default:
		return false
	}
	return true
}

// compare compares two integers, in the order that the instructions have.
func compare(which int, a, b int64, ua, ub uint64) bool {
	return [...]bool{a == b, a != b, a < b, ua < ub, a > b, ua > ub, a <= b, ua <= ub, a >= b, ua >= ub}[which]
}

func arithmetic32(which int, a, b uint32) uint32 {
	switch which {
	case 3, 4, 5, 6:
		if b == 0 {
			panic(DivideByZero)
		}
	}
	switch which {
	case 0:
		return a + b
	case 1:
		return a - b
	case 2:
		return a * b
	case 3:
		if a == 1<<31 && b == math.MaxUint32 {
			panic(Overflow)
		}
		return uint32(int32(a) / int32(b))
	case 4:
		return a / b
	case 5:
		return uint32(int64(int32(a)) % int64(int32(b)))
	case 6:
		return a % b
	case 7:
		return a & b
	case 8:
		return a | b
	case 9:
		return a ^ b
	case 10:
		return a << (b & 31)
	case 11:
		return uint32(int32(a) >> (b & 31))
	case 12:
		return a >> (b & 31)
	case 13:
		return bits.RotateLeft32(a, int(b&31))
	}
	return bits.RotateLeft32(a, -int(b&31))
}

func arithmetic64(which int, a, b uint64) uint64 {
	switch which {
	case 3, 4, 5, 6:
		if b == 0 {
			panic(DivideByZero)
		}
	}
	switch which {
	case 0:
		return a + b
	case 1:
		return a - b
	case 2:
		return a * b
	case 3:
		if a == 1<<63 && b == math.MaxUint64 {
			panic(Overflow)
		}
		return uint64(int64(a) / int64(b))
	case 4:
		return a / b
	case 5:
		if b == math.MaxUint64 {
			return 0
		}
		return uint64(int64(a) % int64(b))
	case 6:
		return a % b
	case 7:
		return a & b
	case 8:
		return a | b
	case 9:
		return a ^ b
	case 10:
		return a << (b & 63)
	case 11:
		return uint64(int64(a) >> (b & 63))
	case 12:
		return a >> (b & 63)
	case 13:
		return bits.RotateLeft64(a, int(b&63))
	}
	return bits.RotateLeft64(a, -int(b&63))
}

package interp

import (
	"math"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// other runs the few operations on floating-point numbers and vectors whose results are
// the same in every engine, bit by bit.
func (f *frame) other(in *instr) bool {
	switch op := in.Op; {
	case op >= 0x5b && op <= 0x60:
		b, a := math.Float32frombits(f.pop32()), math.Float32frombits(f.pop32())
		f.push32(truth(compareFloats(int(op-0x5b), float64(a), float64(b))))
	case op >= 0x61 && op <= 0x66:
		b, a := math.Float64frombits(f.pop()), math.Float64frombits(f.pop())
		f.push32(truth(compareFloats(int(op-0x61), a, b)))
	case op == 0x8b:
		f.push32(f.pop32() &^ (1 << 31))
	case op == 0x8c:
		f.push32(f.pop32() ^ 1<<31)
	case op == 0x98:
		b, a := f.pop32(), f.pop32()
		f.push32(a&^(1<<31) | b&(1<<31))
	case op == 0x99:
		f.push(f.pop() &^ (1 << 63))
	case op == 0x9a:
		f.push(f.pop() ^ 1<<63)
	case op == 0xa6:
		b, a := f.pop(), f.pop()
		f.push(a&^(1<<63) | b&(1<<63))
	case op == 0xaa || op == 0xab:
		f.truncate(op == 0xaa)
	case op == 0xb7:
		f.push(math.Float64bits(float64(int32(f.pop32()))))
	case op == 0xb8:
		f.push(math.Float64bits(float64(f.pop32())))
	case op >= 0xbc && op <= 0xbf: // the same bits
	case op == wasmbin.Bulk(2) || op == wasmbin.Bulk(3):
		f.saturate(op == wasmbin.Bulk(2))
	default:
		return f.vector(in)
	}
	return true
}

func compareFloats(which int, a, b float64) bool {
	return [...]bool{a == b, a != b, a < b, a > b, a <= b, a >= b}[which]
}

// bounds are the largest and smallest numbers of 32 bits.
func bounds(signed bool) (low, high float64) {
	if signed {
		return math.MinInt32, math.MaxInt32
	}
	return 0, math.MaxUint32
}

func (f *frame) truncate(signed bool) {
	a := math.Trunc(math.Float64frombits(f.pop()))
	low, high := bounds(signed)
	switch {
	case math.IsNaN(a):
		panic(NotANumber)
	case a < low || a > high:
		panic(Overflow)
	}
	f.push32(uint32(int64(a)))
}

func (f *frame) saturate(signed bool) {
	a := math.Trunc(math.Float64frombits(f.pop()))
	if low, high := bounds(signed); math.IsNaN(a) {
		a = 0
	} else {
		a = min(max(a, low), high)
	}
	f.push32(uint32(int64(a)))
}

func (f *frame) vector(in *instr) bool {
	switch in.Op {
	case wasmbin.Vector(18): // i64x2.splat
		v := f.pop()
		f.pushWhole(Value{v, v})
	case wasmbin.Vector(29): // i64x2.extract_lane
		f.push(f.popWhole()[in.Lane])
	case wasmbin.Vector(27): // i32x4.extract_lane
		f.push32(uint32(f.popWhole()[in.Lane/2] >> (32 * (in.Lane % 2))))
	case wasmbin.Vector(77): // not
		v := f.popWhole()
		f.pushWhole(Value{^v[0], ^v[1]})
	case wasmbin.Vector(83): // any_true
		f.push32(truth(f.popWhole() != Value{}))
	case wasmbin.Vector(78), wasmbin.Vector(79), wasmbin.Vector(80), wasmbin.Vector(81), wasmbin.Vector(206):
		b, a := f.popWhole(), f.popWhole()
		for i := range a {
			switch in.Op {
			case wasmbin.Vector(78):
				a[i] &= b[i]
			case wasmbin.Vector(79):
				a[i] &^= b[i]
			case wasmbin.Vector(80):
				a[i] |= b[i]
			case wasmbin.Vector(81):
				a[i] ^= b[i]
			default:
				a[i] += b[i]
			}
		}
		f.pushWhole(a)
	default:
		return false
	}
	return true
}

package plugin_test

import "strings"

// operation is an instruction without control: its operands and its result.
type operation struct {
	code, takes string
	gives       byte
}

// operations1 are all operations with one result.
var operations1 = func() (all []operation) {
	add := func(from, to int, takes string, gives byte) {
		for op := from; op <= to; op++ {
			all = append(all, operation{string([]byte{byte(op)}), takes, gives})
		}
	}
	add(0x45, 0x45, "\x7f", 0x7f)
	add(0x46, 0x4f, "\x7f\x7f", 0x7f)
	add(0x50, 0x50, "\x7e", 0x7f)
	add(0x51, 0x5a, "\x7e\x7e", 0x7f)
	add(0x5b, 0x60, "\x7d\x7d", 0x7f)
	add(0x61, 0x66, "\x7c\x7c", 0x7f)
	add(0x67, 0x69, "\x7f", 0x7f)
	add(0x6a, 0x78, "\x7f\x7f", 0x7f)
	add(0x79, 0x7b, "\x7e", 0x7e)
	add(0x7c, 0x8a, "\x7e\x7e", 0x7e)
	add(0x8b, 0x91, "\x7d", 0x7d)
	add(0x92, 0x98, "\x7d\x7d", 0x7d)
	add(0x99, 0x9f, "\x7c", 0x7c)
	add(0xa0, 0xa6, "\x7c\x7c", 0x7c)
	for i, c := range []string{"\x7e\x7f", "\x7d\x7f", "\x7d\x7f", "\x7c\x7f", "\x7c\x7f", "\x7f\x7e", "\x7f\x7e", "\x7d\x7e", "\x7d\x7e",
		"\x7c\x7e", "\x7c\x7e", "\x7f\x7d", "\x7f\x7d", "\x7e\x7d", "\x7e\x7d", "\x7c\x7d", "\x7f\x7c", "\x7f\x7c", "\x7e\x7c",
		"\x7e\x7c", "\x7d\x7c", "\x7d\x7f", "\x7c\x7e", "\x7f\x7d", "\x7e\x7c"} {
		add(0xa7+i, 0xa7+i, c[:1], c[1])
	}
	add(0xc0, 0xc1, "\x7f", 0x7f)
	add(0xc2, 0xc4, "\x7e", 0x7e)
	for i, c := range []string{"\x7d\x7f", "\x7d\x7f", "\x7c\x7f", "\x7c\x7f", "\x7d\x7e", "\x7d\x7e", "\x7c\x7e", "\x7c\x7e"} {
		all = append(all, operation{"\xfc" + string([]byte{byte(i)}), c[:1], c[1]})
	}
	for _, t := range "\x7f\x7e\x7d\x7c\x7b" { // select
		all = append(all, operation{"\x1b", string(t) + string(t) + "\x7f", byte(t)})
	}
	loads := "\x7f\x7e\x7d\x7c\x7f\x7f\x7f\x7f\x7e\x7e\x7e\x7e\x7e\x7e"
	for i := range len(loads) {
		all = append(all, operation{string([]byte{byte(0x28 + i), 0, 0}), "\x7f", loads[i]})
	}
	all = append(all, operation{"\x3f\x00", "", 0x7f}, operation{"\x40\x00", "\x7f", 0x7f})
	all = append(all, operation{"\x43\x01\x02\x03\x04", "", 0x7d}, operation{"\x44\x01\x02\x03\x04\x05\x06\x07\x08", "", 0x7c},
		operation{"\x42\xff\xff\xff\xff\xff\xff\xff\x7f", "", 0x7e})
	return append(all, vectors()...)
}()

// vectors are the operations of fixed-width SIMD that take vectors and return one.
func vectors() (all []operation) {
	add := func(takes string, gives byte, immediate string, codes ...int) {
		for _, c := range codes {
			all = append(all, operation{"\xfd" + string(uleb(c)) + immediate, takes, gives})
		}
	}
	span := func(from, to int, but ...int) (codes []int) {
	next:
		for c := from; c <= to; c++ {
			for _, b := range but {
				if b == c {
					continue next
				}
			}
			codes = append(codes, c)
		}
		return codes
	}
	const v, vv = "\x7b", "\x7b\x7b"
	add("\x7f", 0x7b, "\x00\x00", span(0, 10)...)
	add("\x7f", 0x7b, "\x00\x00", 92, 93)
	add("", 0x7b, "0123456789abcdef", 12)
	add(vv, 0x7b, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x1c\x1d\x1e\x1f", 13)
	add(vv, 0x7b, "", 14)
	add("\x7f", 0x7b, "", 15, 16, 17)
	add("\x7e", 0x7b, "", 18)
	add("\x7d", 0x7b, "", 19)
	add("\x7c", 0x7b, "", 20)
	add(v, 0x7f, "\x01", 21, 22, 24, 25, 27)
	add(v, 0x7e, "\x01", 29)
	add(v, 0x7d, "\x01", 31)
	add(v, 0x7c, "\x01", 33)
	add("\x7b\x7f", 0x7b, "\x01", 23, 26, 28)
	add("\x7b\x7e", 0x7b, "\x01", 30)
	add("\x7b\x7d", 0x7b, "\x01", 32)
	add("\x7b\x7c", 0x7b, "\x01", 34)
	add("\x7f\x7b", 0x7b, "\x00\x00\x01", 84, 85, 86, 87)
	add(vv, 0x7b, "", span(35, 76)...)
	add(vv, 0x7b, "", 78, 79, 80, 81)
	add(vv+v, 0x7b, "", 82)
	add(v, 0x7f, "", 83, 99, 100, 131, 132, 163, 164, 195, 196)
	unary := []int{77, 94, 95, 96, 97, 98, 103, 104, 105, 106, 116, 117, 122, 124, 125, 126, 127, 128, 129, 135, 136, 137, 138,
		148, 160, 161, 167, 168, 169, 170, 192, 193, 199, 200, 201, 202, 224, 225, 227, 236, 237, 239,
		248, 249, 250, 251, 252, 253, 254, 255}
	add(v, 0x7b, "", unary...)
	shifts := []int{107, 108, 109, 139, 140, 141, 171, 172, 173, 203, 204, 205}
	add("\x7b\x7f", 0x7b, "", shifts...)
	binary := append(append(append(span(101, 102), 110, 111, 112, 113, 114, 115, 118, 119, 120, 121, 123, 130, 133, 134), span(142, 147)...),
		149, 150, 151, 152, 153, 155, 156, 157, 158, 159, 174, 177, 181, 182, 183, 184, 185, 186, 188, 189, 190, 191, 206, 209, 213,
		214, 215, 216, 217, 218, 219, 220, 221, 222, 223, 228, 229, 230, 231, 232, 233, 234, 235, 240, 241, 242, 243, 244, 245, 246, 247)
	add(vv, 0x7b, "", binary...)
	return all
}

// writeOperation computes a value and keeps it, by one operation or further ones that
// use its result.
func writeOperation(w *writer, o operation, further int) {
	operand := func(t byte) { w.op("\x20", w.typed(t)) }
	for i := range o.takes {
		operand(o.takes[i])
	}
	w.put(o.code)
	for n := 0; n < further && o.takes != "" && o.gives == o.takes[0]; n++ {
		for i := range o.takes[1:] {
			operand(o.takes[1+i])
		}
		w.put(o.code)
	}
	switch o.gives {
	case 0x7f:
		w.op("\x24", 0)
	case 0x7e:
		w.op("\x24", 1)
	case 0x7d:
		w.op("\x24", 2)
	case 0x7c:
		w.op("\x24", 3)
	default:
		w.put("\xfd\x53\x24\x00") // whether any bit is set
	}
}

// typed returns the local with operands of that type.
func (w *writer) typed(t byte) int {
	if t == 0x7f {
		return w.local()
	}
	return w.Params + w.Locals + strings.IndexByte(typedLocals, t)
}

const typedLocals = "\x7e\x7d\x7c\x7b"

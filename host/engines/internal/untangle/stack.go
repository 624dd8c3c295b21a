package untangle

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// keepsStackPointer reports whether a function begins by putting the stack pointer into a
// local.
func keepsStackPointer(c []instruction) bool {
	return len(c) > 1 && c[0].is(wasmbin.OpGlobalGet, globalSP) && c[1].is(wasmbin.OpLocalSet, localSP)
}

// maxFrame is how far from the stack pointer an address may be. What lies there is the
// function's frame or its caller's, within the memory: no sum exceeds 32 bits.
const maxFrame = 1 << 20

// addToOffsets puts the constants of addresses on the stack into the offsets of the loads
// and stores that use them. Addresses with one base have their bounds checked once.
func addToOffsets(c []instruction) []instruction {
	out := make([]instruction, 0, len(c))
	for n := 0; n < len(c); n++ {
		out = append(out, c[n])
		add, ok := stackAddress(c[n:])
		if !ok {
			continue
		}
		user := usesAddress(c[n+addressLength:])
		if user < 0 {
			continue
		}
		i := &c[n+addressLength+user]
		if i.offset > maxFrame {
			continue
		}
		i.offset, i.raw = i.offset+add, nil
		n += addressLength - 1
	}
	return out
}

const addressLength = 5

// stackAddress returns what is added to the stack pointer.
func stackAddress(c []instruction) (uint32, bool) {
	if len(c) > addressLength && c[0].is(wasmbin.OpLocalGet, localSP) && c[1].op == wasmbin.OpI64ExtendU &&
		c[2].op == wasmbin.OpI64Const && c[2].value > 0 && c[2].value < maxFrame &&
		c[3].op == wasmbin.OpI64Add && c[4].op == opI32Wrap {
		return uint32(c[2].value), true
	}
	return 0, false
}

// usesAddress returns which instruction loads from or stores to the address that is on the
// stack, or -1.
func usesAddress(c []instruction) int {
	above := 0 // values on the stack above the address
	for n, i := range c {
		takes, puts, ok := effect(i.op)
		switch {
		case !ok:
			return -1
		case takes <= above:
			above += puts - takes
		case isLoad(i.op) || isStore(i.op) && above == 1:
			return n
		default:
			return -1
		}
	}
	return -1
}

// dropStores drops what is written to the global stack pointer only to be written again.
// If the code between traps, nobody looks at it.
func dropStores(c []instruction) []instruction {
	out := make([]instruction, 0, len(c))
	for n, i := range c {
		if i.is(wasmbin.OpGlobalSet, globalSP) && n > 0 && c[n-1].is(wasmbin.OpLocalTee, localSP) && writtenAgain(c[n+1:]) {
			out[len(out)-1] = instruction{op: wasmbin.OpLocalSet, first: localSP}
			continue
		}
		out = append(out, i)
	}
	return out
}

func writtenAgain(c []instruction) bool {
	for _, i := range c {
		if i.is(wasmbin.OpGlobalSet, globalSP) {
			return true
		}
		if _, _, ok := effect(i.op); !ok || i.is(wasmbin.OpGlobalGet, globalSP) {
			return false
		}
	}
	return false
}

package untangle

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// thread writes a function in its old form, but a jump to a later region goes there
// directly: the region begins behind a block that encloses the jump.
func (o *form) thread() []instruction {
	loops := o.jumpsBack()
	out := append([]instruction(nil), o.start...)
	if o.unwinds {
		out = append(out, instruction{op: wasmbin.OpBlock})
	}
	if loops {
		out = append(out, instruction{op: wasmbin.OpLoop})
	}
	for range o.regions {
		out = append(out, instruction{op: wasmbin.OpBlock})
	}
	out = append(out, instruction{op: wasmbin.OpLocalGet, first: startsAt},
		instruction{op: wasmbin.OpBrTable, labels: o.table}, instruction{op: wasmbin.OpEnd})
	for region, code := range o.regions {
		inner := uint32(0)
		for _, i := range code {
			outside := inner + uint32(len(o.regions)-region-1)
			unwind := outside
			if loops {
				unwind++
			}
			switch i.op {
			case wasmbin.OpEnd:
				inner--
			case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
				inner++
			case opUnwind:
				i = instruction{op: wasmbin.OpBr, first: unwind}
			case opUnwindIf:
				i = instruction{op: wasmbin.OpBrIf, first: unwind}
			case opJump:
				if to := int(i.first); to > region {
					i = instruction{op: wasmbin.OpBr, first: inner + uint32(to-region-1)}
					break
				}
				out = append(out, instruction{op: wasmbin.OpI32Const, value: i.value}, instruction{op: wasmbin.OpLocalSet, first: startsAt})
				i = instruction{op: wasmbin.OpBr, first: outside}
			}
			out = append(out, i)
		}
		if region < len(o.regions)-1 || loops {
			out = append(out, instruction{op: wasmbin.OpEnd})
		}
	}
	return o.end(out)
}

// jumpsBack reports whether there is a jump to an earlier region, or to its own.
func (o *form) jumpsBack() bool {
	for region, code := range o.regions {
		for _, i := range code {
			if i.op == opJump && int(i.first) <= region {
				return true
			}
		}
	}
	return false
}

package rewrite

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// The form of a check matters more than its length. This one was chosen among many by
// measurement, and by reading what wazero's compiler makes of it:
//
//	loop
//	  fuel -= weight
//	  if fuel >= 0
//	  else
//	    call hook
//	    fuel += weight
//	    br 1
//	  end
//	end
//
// The hook sees the fuel without the weight, and the weight is charged again afterwards,
// so that the sum is right. Because the way through the hook leads back, no path
// joins the usual one behind the check. If one did, the compiler would take the state of
// the registers from it, in which all values are on the stack. Because the hook is in the
// else, its code comes after that of the loop, and the usual path has no jump.

// entry charges the entry of a function, and checks if that is needed.
func (e *emitter) entry(weight int64) {
	switch f := e.f; {
	case f.counted:
		e.check(weight, f.chain)
	case weight == 0:
	case f.checked:
		e.check(weight, 0)
	default:
		e.charge(weight)
	}
}

// check charges fuel and takes stack, if any. It calls the hook if either runs out.
func (e *emitter) check(weight, stack int64) {
	c := &e.code
	c.Block(wasmbin.OpLoop, wasmbin.NoResult)
	e.charge(weight)
	c.Op(wasmbin.OpGlobalGet, e.fuel)
	if stack > 0 {
		e.take(stack)
		c.Op(wasmbin.OpGlobalGet, e.depth)
		c.Op(wasmbin.OpI64Or)
	}
	e.unlessNegative()
	c.Op(wasmbin.OpCall, e.hook)
	e.adjust(e.fuel, weight, wasmbin.OpI64Add)
	if stack > 0 {
		e.give(stack)
	}
	c.Op(wasmbin.OpBr, 1)
	c.Op(wasmbin.OpEnd)
	c.Op(wasmbin.OpEnd)
}

// loop charges the beginning of a loop. If the loop has no parameters, the way through
// the hook leads back to it.
func (e *emitter) loop(p *point) {
	weight := e.regions[p.region]
	switch {
	case weight == 0: // nothing leads back to it
		e.copy(p.end)
	case p.tight:
		e.tightLoop(p, weight)
	case p.params:
		e.copy(p.end)
		e.check(weight, 0)
	default:
		e.copy(p.end)
		e.charge(weight)
		e.code.Op(wasmbin.OpGlobalGet, e.fuel)
		e.unlessNegative()
		e.code.Op(wasmbin.OpCall, e.hook)
		e.adjust(e.fuel, weight, wasmbin.OpI64Add)
		e.code.Op(wasmbin.OpBr, 1)
		e.code.Op(wasmbin.OpEnd)
	}
}

// tightLoop charges a loop in which nothing else takes fuel. The fuel that is left is
// kept in a local besides, so that a round does not wait for what the one before has
// stored.
func (e *emitter) tightLoop(p *point, weight int64) {
	c := &e.code
	e.copy(p.at)
	c.Op(wasmbin.OpGlobalGet, e.fuel)
	c.Op(wasmbin.OpLocalSet, e.left)
	e.copy(p.end)
	c.Op(wasmbin.OpLocalGet, e.left)
	c.I64(weight)
	c.Op(wasmbin.OpI64Sub)
	c.Op(wasmbin.OpLocalTee, e.left)
	c.Op(wasmbin.OpGlobalSet, e.fuel)
	c.Op(wasmbin.OpLocalGet, e.left)
	e.unlessNegative()
	e.renew(p)
	c.Op(wasmbin.OpCall, e.hook)
	c.Op(wasmbin.OpGlobalGet, e.fuel)
	c.I64(weight)
	c.Op(wasmbin.OpI64Add)
	c.Op(wasmbin.OpLocalSet, e.left)
	c.Op(wasmbin.OpBr, 1)
	c.Op(wasmbin.OpEnd)
	e.report.Charges++
}

// chargeLength charges an instruction by a length in a local.
func (e *emitter) chargeLength(op wasmbin.Opcode, length uint32) {
	c := &e.code
	charge := func(sign wasmbin.Opcode) {
		c.Op(wasmbin.OpGlobalGet, e.fuel)
		c.Op(wasmbin.OpLocalGet, length)
		switch op {
		case wasmbin.OpMemoryGrow:
			c.I32(0)
			c.Op(wasmbin.OpLocalGet, length)
			c.I32(mostPages)
			c.Op(wasmbin.OpI32LeU)
			c.Op(wasmbin.OpSelect)
			c.Op(wasmbin.OpI64ExtendU)
			c.I64(UnitsPerPage)
			c.Op(wasmbin.OpI64Mul)
		case wasmbin.OpTableCopy, wasmbin.OpTableInit:
			c.Op(wasmbin.OpI64ExtendU)
		default:
			c.Op(wasmbin.OpI64ExtendU)
			c.I64(bytesShift)
			c.Op(wasmbin.OpI64ShrU)
		}
		c.Op(sign)
		c.Op(wasmbin.OpGlobalSet, e.fuel)
	}
	c.Block(wasmbin.OpLoop, wasmbin.NoResult)
	charge(wasmbin.OpI64Sub)
	c.Op(wasmbin.OpGlobalGet, e.fuel)
	e.unlessNegative()
	c.Op(wasmbin.OpCall, e.hook)
	charge(wasmbin.OpI64Add)
	c.Op(wasmbin.OpBr, 1)
	c.Op(wasmbin.OpEnd)
	c.Op(wasmbin.OpEnd)
}

// checkDepth takes stack, and calls the hook if it runs out.
func (e *emitter) checkDepth(stack int64) {
	c := &e.code
	c.Block(wasmbin.OpLoop, wasmbin.NoResult)
	e.take(stack)
	c.Op(wasmbin.OpGlobalGet, e.depth)
	e.unlessNegative()
	c.Op(wasmbin.OpCall, e.hook)
	e.give(stack)
	c.Op(wasmbin.OpBr, 1)
	c.Op(wasmbin.OpEnd)
	c.Op(wasmbin.OpEnd)
}

// checkFuel calls the hook if the fuel has run out. It comes where a place that counts
// the stack is left. Entries are checked only while calls go deeper: without it, calls
// nested by the ten thousand would return, and each would call on the way what does not
// check.
func (e *emitter) checkFuel() {
	c := &e.code
	c.Block(wasmbin.OpLoop, wasmbin.NoResult)
	c.Op(wasmbin.OpGlobalGet, e.fuel)
	e.unlessNegative()
	c.Op(wasmbin.OpCall, e.hook)
	c.Op(wasmbin.OpBr, 1)
	c.Op(wasmbin.OpEnd)
	c.Op(wasmbin.OpEnd)
}

// unlessNegative begins what is done if the number on top of the stack is negative. An
// end closes it.
func (e *emitter) unlessNegative() {
	e.code.I64(0)
	e.code.Op(wasmbin.OpI64GeS)
	e.code.Block(wasmbin.OpIf, wasmbin.NoResult)
	e.code.Op(wasmbin.OpElse)
	e.report.Checks++
}

func (e *emitter) charge(weight int64) {
	e.adjust(e.fuel, weight, wasmbin.OpI64Sub)
	e.report.Charges++
}

func (e *emitter) take(stack int64) { e.adjust(e.depth, stack, wasmbin.OpI64Sub) }
func (e *emitter) give(stack int64) { e.adjust(e.depth, stack, wasmbin.OpI64Add) }

// adjust adds to a global, or subtracts from it.
func (e *emitter) adjust(global uint32, n int64, op wasmbin.Opcode) {
	c := &e.code
	c.Op(wasmbin.OpGlobalGet, global)
	c.I64(n)
	c.Op(op)
	c.Op(wasmbin.OpGlobalSet, global)
}

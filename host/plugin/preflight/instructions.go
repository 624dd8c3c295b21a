package preflight

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// cost is an instruction's effect on the operand stack and the cost of compiling it.
type cost struct {
	height int8   // by how much the operand stack changes, if always by the same
	work   uint16 // units of [Module.CompileCost]
	memory uint16 // bytes that compiling takes
	code   uint16 // bytes of machine code
	usable bool   // by a guest
}

// costs has all instructions that a guest may use.
var costs [wasmbin.Opcodes]cost

// The costs of instructions, measured in long rows of each. A unit of work is a
// twenty-five millionth of a second.
var (
	free    = cost{work: 2, memory: 32}
	simple  = cost{work: 45, memory: 1100, code: 10}
	number  = cost{work: 10, memory: 500, code: 5}
	divide  = cost{work: 240, memory: 5000, code: 90}
	extreme = cost{work: 160, memory: 2500, code: 50} // minimum and maximum of floating-point numbers
	convert = cost{work: 200, memory: 3000, code: 60}
	satur   = cost{work: 220, memory: 4500, code: 100}
	traps   = cost{work: 400, memory: 7500, code: 200} // conversions that trap
	access  = cost{work: 220, memory: 4500, code: 60}
	direct  = cost{work: 100, memory: 2400, code: 50}
	through = cost{work: 800, memory: 14500, code: 250} // indirect calls
	bulk    = cost{work: 1000, memory: 20_000, code: 300}
	choose  = cost{work: 150, memory: 3000, code: 40}     // select, of vectors too
	fill    = cost{work: 3300, memory: 33_000, code: 500} // memory.fill, which becomes a loop
	branch  = cost{work: 50, memory: 4500, code: 30}
	round   = cost{work: 90, memory: 6500, code: 40}  // loop, which checks the deadline
	fork    = cost{work: 110, memory: 6000, code: 30} // if
	enter   = cost{work: 25, memory: 1000, code: 10}
	vector  = cost{work: 200, memory: 4500, code: 60}
)

func init() {
	set := func(from, to wasmbin.Opcode, c cost, height int8) {
		c.height, c.usable = height, true
		for op := from; op <= to; op++ {
			if available(op) {
				costs[op] = c
			}
		}
	}
	set(0x00, 0x00, simple, 0)   // unreachable
	set(0x01, 0x01, free, 0)     // nop
	set(0x02, 0x02, enter, 0)    // block
	set(0x03, 0x03, round, 0)    // loop
	set(0x04, 0x04, fork, -1)    // if
	set(0x05, 0x05, branch, 0)   // else
	set(0x0b, 0x0b, free, 0)     // end
	set(0x0c, 0x0c, branch, 0)   // br
	set(0x0d, 0x0d, branch, -1)  // br_if
	set(0x0e, 0x0e, branch, -1)  // br_table
	set(0x0f, 0x0f, branch, 0)   // return
	set(0x10, 0x10, direct, 0)   // call
	set(0x11, 0x11, through, -1) // call_indirect
	set(0x1a, 0x1a, free, -1)    // drop
	set(0x1b, 0x1b, choose, -2)  // select
	set(0x20, 0x20, free, 1)     // local.get
	set(0x21, 0x21, free, -1)    // local.set
	set(0x22, 0x22, free, 0)     // local.tee
	set(0x23, 0x23, simple, 1)   // global.get
	set(0x24, 0x24, simple, -1)  // global.set
	set(0x28, 0x35, access, 0)   // loads
	set(0x36, 0x3e, access, -2)  // stores
	set(0x3f, 0x3f, simple, 1)   // memory.size
	set(0x40, 0x40, direct, 0)   // memory.grow
	set(0x41, 0x42, number, 1)   // constants
	set(0x43, 0x44, simple, 1)   //
	set(0x45, 0xc4, simple, -1)  // operations with two operands, except those below
	set(0x45, 0x45, simple, 0)   // i32.eqz
	set(0x50, 0x50, simple, 0)   // i64.eqz
	set(0x67, 0x69, simple, 0)   // clz, ctz, popcnt
	set(0x6d, 0x70, divide, -1)  // div and rem
	set(0x79, 0x7b, simple, 0)   // clz, ctz, popcnt
	set(0x7f, 0x82, divide, -1)  // div and rem
	set(0x8b, 0x91, simple, 0)   // abs to sqrt
	set(0x96, 0x98, extreme, -1) // min, max, copysign
	set(0x99, 0x9f, simple, 0)   // abs to sqrt
	set(0xa4, 0xa6, extreme, -1) // min, max, copysign
	set(0xa7, 0xc4, simple, 0)   // conversions, sign extension
	set(0xa8, 0xab, traps, 0)    // trunc
	set(0xae, 0xb1, traps, 0)    //
	set(0xb5, 0xb5, convert, 0)  // from an unsigned number
	set(0xba, 0xba, convert, 0)  //

	b := wasmbin.Bulk
	set(b(0), b(7), satur, 0)                                 // trunc_sat
	set(wasmbin.OpMemoryInit, wasmbin.OpTableCopy, bulk, -3)  //
	set(wasmbin.OpDataDrop, wasmbin.OpDataDrop, bulk, 0)      //
	set(wasmbin.OpMemoryFill, wasmbin.OpMemoryFill, fill, -3) //
	set(wasmbin.OpElemDrop, wasmbin.OpElemDrop, bulk, 0)      //

	// Most are taken to leave the stack as high as before. That is right for one operand
	// and too high for two.
	v := wasmbin.Vector
	set(v(0), v(255), vector, 0)
	set(v(0), v(10), access, 0)                                     // loads
	set(v(11), v(11), access, -2)                                   // store
	set(wasmbin.OpV128Const, wasmbin.OpV128Const, vector, 1)        //
	set(wasmbin.OpI8x16Shuffle, wasmbin.OpI8x16Shuffle, vector, -1) //
	set(v(84), v(87), access, -1)                                   // loads of a lane
	set(v(88), v(91), access, -2)                                   // stores of a lane
	set(v(92), v(93), access, 0)                                    // loads
	costs[v(98)].work = 2 * vector.work                             // i8x16.popcnt
}

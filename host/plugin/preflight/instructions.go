package preflight

// instruction is what is known of an instruction: how to read over it, what it
// does to the operand stack, and what it takes to compile.
type instruction struct {
	follows immediates
	height  int8   // by how much the operand stack changes, where that is the same each time
	work    uint16 // units of [Module.Work]
	memory  uint16 // bytes while its function is compiled
	code    uint16 // bytes of machine code
	align   uint8  // the most that the alignment of a load or store may be
	lanes   uint8  // how many lanes there are to choose from
}

// immediates are what follows an opcode.
type immediates byte

const (
	notAvailable  immediates = iota // to a guest
	nothing                         // follows
	blockType                       // of block, loop and if
	elseMark                        // nothing; the second half of an if begins
	endMark                         // nothing; a block ends
	label                           // of a branch
	labels                          // of a branch table
	function                        // of a call
	tableCall                       // type and table of an indirect call
	local                           // its number
	global                          // its number
	segment                         // number of a data segment
	elements                        // number of an element segment
	address                         // alignment and offset of a load or store
	addressLane                     // the same and a lane
	lane                            //
	memory                          // its number, which is 0
	twoMemories                     //
	segmentMemory                   // a data segment and a memory
	segmentTable                    // an element segment and a table
	twoTables                       //
	signed32                        //
	signed64                        //
	bytes4                          //
	bytes8                          //
	bytes16                         //
	shuffle                         // sixteen lanes of two vectors
)

// Prefixes of instructions of two bytes.
const (
	prefixBulk   = 0xfc
	prefixVector = 0xfd
)

// plain, bulkInstructions and vectorInstructions are all that a guest may use, by
// opcode and by what follows its prefix.
var (
	plainInstructions  [256]instruction
	bulkInstructions   [15]instruction
	vectorInstructions [256]instruction
)

// What instructions take was measured in rows of each. A unit of work is a
// twenty-five millionth of a second.
var (
	free    = instruction{work: 2, memory: 32}
	simple  = instruction{work: 45, memory: 1100, code: 10}
	number  = instruction{work: 10, memory: 500, code: 5}
	divide  = instruction{work: 240, memory: 5000, code: 90}
	extreme = instruction{work: 160, memory: 2500, code: 50} // minimum and maximum of floating-point numbers
	convert = instruction{work: 200, memory: 3000, code: 60}
	satur   = instruction{work: 220, memory: 4500, code: 100}
	traps   = instruction{work: 400, memory: 7500, code: 200} // conversions that trap
	access  = instruction{work: 220, memory: 4500, code: 60}
	direct  = instruction{work: 100, memory: 2400, code: 50}
	through = instruction{work: 800, memory: 14500, code: 250} // indirect calls
	bulk    = instruction{work: 1000, memory: 20_000, code: 300}
	choose  = instruction{work: 150, memory: 3000, code: 40}     // select, of vectors too
	fill    = instruction{work: 3300, memory: 33_000, code: 500} // memory.fill, which becomes a loop
	branch  = instruction{work: 50, memory: 4500, code: 30}
	round   = instruction{work: 90, memory: 6500, code: 40}  // loop, which looks at the deadline
	fork    = instruction{work: 110, memory: 6000, code: 30} // if
	enter   = instruction{work: 25, memory: 1000, code: 10}
	vector  = instruction{work: 200, memory: 4500, code: 60}
)

func init() {
	set := func(table []instruction, from, to int, cost instruction, follows immediates, height int8) {
		cost.follows, cost.height = follows, height
		for op := from; op <= to; op++ {
			table[op] = cost
		}
	}
	p := plainInstructions[:]
	set(p, 0x00, 0x00, simple, nothing, 0)     // unreachable
	set(p, 0x01, 0x01, free, nothing, 0)       // nop
	set(p, 0x02, 0x02, enter, blockType, 0)    // block
	set(p, 0x03, 0x03, round, blockType, 0)    // loop
	set(p, 0x04, 0x04, fork, blockType, -1)    // if
	set(p, 0x05, 0x05, branch, elseMark, 0)    // else
	set(p, 0x0b, 0x0b, free, endMark, 0)       // end
	set(p, 0x0c, 0x0c, branch, label, 0)       // br
	set(p, 0x0d, 0x0d, branch, label, -1)      // br_if
	set(p, 0x0e, 0x0e, branch, labels, -1)     // br_table
	set(p, 0x0f, 0x0f, branch, nothing, 0)     // return
	set(p, 0x10, 0x10, direct, function, 0)    // call
	set(p, 0x11, 0x11, through, tableCall, -1) // call_indirect
	set(p, 0x1a, 0x1a, free, nothing, -1)      // drop
	set(p, 0x1b, 0x1b, choose, nothing, -2)    // select
	set(p, 0x20, 0x20, free, local, 1)         // local.get
	set(p, 0x21, 0x21, free, local, -1)        // local.set
	set(p, 0x22, 0x22, free, local, 0)         // local.tee
	set(p, 0x23, 0x23, simple, global, 1)      // global.get
	set(p, 0x24, 0x24, simple, global, -1)     // global.set
	set(p, 0x28, 0x35, access, address, 0)     // loads
	set(p, 0x36, 0x3e, access, address, -2)    // stores
	set(p, 0x3f, 0x3f, simple, memory, 1)      // memory.size
	set(p, 0x40, 0x40, direct, memory, 0)      // memory.grow
	set(p, 0x41, 0x41, number, signed32, 1)    // constants
	set(p, 0x42, 0x42, number, signed64, 1)    //
	set(p, 0x43, 0x43, simple, bytes4, 1)      //
	set(p, 0x44, 0x44, simple, bytes8, 1)      //
	set(p, 0x45, 0xc4, simple, nothing, -1)    // operations with two operands, but for those that follow
	set(p, 0x45, 0x45, simple, nothing, 0)     // i32.eqz
	set(p, 0x50, 0x50, simple, nothing, 0)     // i64.eqz
	set(p, 0x67, 0x69, simple, nothing, 0)     // clz, ctz, popcnt
	set(p, 0x6d, 0x70, divide, nothing, -1)    // div and rem
	set(p, 0x79, 0x7b, simple, nothing, 0)     // clz, ctz, popcnt
	set(p, 0x7f, 0x82, divide, nothing, -1)    // div and rem
	set(p, 0x8b, 0x91, simple, nothing, 0)     // abs to sqrt
	set(p, 0x96, 0x98, extreme, nothing, -1)   // min, max, copysign
	set(p, 0x99, 0x9f, simple, nothing, 0)     // abs to sqrt
	set(p, 0xa4, 0xa6, extreme, nothing, -1)   // min, max, copysign
	set(p, 0xa7, 0xc4, simple, nothing, 0)     // conversions, sign extension
	set(p, 0xa8, 0xab, traps, nothing, 0)      // trunc
	set(p, 0xae, 0xb1, traps, nothing, 0)      //
	set(p, 0xb5, 0xb5, convert, nothing, 0)    // from an unsigned number
	set(p, 0xba, 0xba, convert, nothing, 0)    //
	b := bulkInstructions[:]
	set(b, 0, 7, satur, nothing, 0)        // trunc_sat
	set(b, 8, 8, bulk, segmentMemory, -3)  // memory.init
	set(b, 9, 9, bulk, segment, 0)         // data.drop
	set(b, 10, 10, bulk, twoMemories, -3)  // memory.copy
	set(b, 11, 11, fill, memory, -3)       // memory.fill
	set(b, 12, 12, bulk, segmentTable, -3) // table.init
	set(b, 13, 13, bulk, elements, 0)      // elem.drop
	set(b, 14, 14, bulk, twoTables, -3)    // table.copy
	v := vectorInstructions[:]
	for align, ops := range []string{"\x2c\x2d\x30\x31\x3a\x3c", "\x2e\x2f\x32\x33\x3b\x3d", "\x28\x2a\x34\x35\x36\x38\x3e", "\x29\x2b\x37\x39"} {
		for i := range len(ops) {
			p[ops[i]].align = uint8(align)
		}
	}
	// Of most the stack is taken to be as high as before, which is right for one
	// operand and too much for two.
	set(v, 0, 255, vector, nothing, 0)
	set(v, 0, 10, access, address, 0)       // loads
	set(v, 11, 11, access, address, -2)     // store
	set(v, 12, 12, vector, bytes16, 1)      // const
	set(v, 13, 13, vector, bytes16, -1)     // shuffle
	set(v, 21, 34, vector, lane, 0)         // lanes
	set(v, 84, 87, access, addressLane, -1) // loads of a lane
	set(v, 88, 91, access, addressLane, -2) // stores of a lane
	set(v, 92, 93, access, address, 0)      // loads
	for align, ops := range []string{"\x07\x54\x58", "\x08\x55\x59", "\x09\x56\x5a\x5c", "\x01\x02\x03\x04\x05\x06\x0a\x57\x5b\x5d", "\x00\x0b"} {
		for i := range len(ops) {
			v[ops[i]].align = uint8(align)
		}
	}
	for log, ops := range []string{1: "\x1d\x1e\x21\x22\x57\x5b", 2: "\x1b\x1c\x1f\x20\x56\x5a", 3: "\x18\x19\x1a\x55\x59", 4: "\x15\x16\x17\x54\x58"} {
		for i := range len(ops) {
			v[ops[i]].lanes = 1 << log
		}
	}
	for _, unused := range []int{154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212, 226, 238} {
		v[unused] = instruction{}
	}
	v[13].follows = shuffle
	v[98].work = 2 * vector.work // i8x16.popcnt
}

// find returns the instruction whose first byte has been read; notAvailable if
// there is none.
func (r *reader) find(op byte) instruction {
	switch op {
	case prefixBulk:
		if sub := r.u32(); sub < uint32(len(bulkInstructions)) {
			return bulkInstructions[sub]
		} else if r.err == nil {
			r.err = feature("the instruction 0xfc %d (reference types are not available to a guest)", sub)
		}
		return instruction{follows: nothing}
	case prefixVector:
		if sub := r.u32(); sub < uint32(len(vectorInstructions)) {
			if r.err == nil && vectorInstructions[sub].follows == notAvailable {
				r.fail("an unknown instruction 0xfd %d", sub)
			}
			return vectorInstructions[sub]
		} else if r.err == nil {
			r.err = feature("the vector instruction 0xfd %d (relaxed SIMD is not available to a guest)", sub)
		}
		return instruction{follows: nothing}
	}
	return plainInstructions[op]
}

// skip reads over what follows an opcode that is not of control structure.
func (r *reader) skip(m *Module, i instruction) {
	const theMemory, theTable = "the memory of an instruction", "the table of an instruction"
	switch i.follows {
	case segment, segmentMemory:
		r.dataSegment(m)
	case segmentTable, elements:
		r.below("element segment", r.u32(), m.ElementSegments)
	case address, addressLane:
		if align := r.u32(); r.err == nil && align&0x40 != 0 {
			r.err = feature("a load or store with the number of a memory (a guest has one memory)")
		} else if r.err == nil && align > uint32(i.align) {
			r.fail("a load or store aligned to 2^%d bytes, and the most is 2^%d", align, i.align)
		}
		r.u32()
	case signed32:
		r.skipSigned(32)
	case signed64:
		r.skipSigned(64)
	case bytes4:
		r.bytes(4)
	case bytes8:
		r.bytes(8)
	case bytes16:
		r.bytes(16)
	case shuffle:
		for _, lane := range r.bytes(16) {
			r.below("lane", uint32(lane), 32)
		}
	}
	switch i.follows {
	case lane, addressLane:
		r.below("lane", uint32(r.byte()), int(i.lanes))
	case memory, segmentMemory:
		r.zero(theMemory)
	case twoMemories:
		r.zero(theMemory)
		r.zero(theMemory)
	case segmentTable:
		r.zero(theTable)
	case twoTables:
		r.zero(theTable)
		r.zero(theTable)
	}
	switch i.follows {
	case address, addressLane, memory, twoMemories, segmentMemory:
		if r.err == nil && m.memories == 0 {
			r.fail("an instruction on memory, and there is none")
		}
	case segmentTable, twoTables:
		r.needTable(m)
	}
}

// below checks the number of a thing of which there are so many.
func (r *reader) below(what string, n uint32, all int) {
	if r.err == nil && uint64(n) >= uint64(all) {
		r.fail("%s %d, and there are %d", what, n, all)
	}
}

// dataSegment reads the number of one. Code may only use them if a section says
// in advance how many there are.
func (r *reader) dataSegment(m *Module) {
	switch n := r.u32(); {
	case r.err != nil:
	case !m.dataCounted:
		r.fail("an instruction on a data segment, and no data count section")
	case int64(n) >= m.dataCount:
		r.fail("data segment %d, and there are %d", n, m.dataCount)
	}
}

func (r *reader) needTable(m *Module) {
	if r.err == nil && m.tables == 0 {
		r.fail("an instruction on a table, and there is none")
	}
}

// zero reads the number of a table or memory.
func (r *reader) zero(what string) {
	if n := r.u32(); r.err == nil && n != 0 {
		r.refuse(feature("%s is number %d, and only number 0 is allowed (a guest has one table and one memory)", what, n))
	}
}

// notAllowed says why an instruction is refused that a guest may not use.
func (r *reader) notAllowed(op byte) {
	var name string
	switch {
	case op >= 0x06 && op <= 0x0a || op == 0x18 || op == 0x19 || op == 0x1f:
		name = "exceptions"
	case op >= 0x12 && op <= 0x15:
		name = "tail calls or function references"
	case op == 0x1c || op == 0x25 || op == 0x26 || op >= 0xd0 && op <= 0xd6:
		name = "reference types"
	case op == 0xfb:
		name = "garbage-collected types"
	case op == 0xfe:
		name = "threads"
	default:
		r.fail("an unknown instruction 0x%02x", op)
		return
	}
	r.err = feature("the instruction 0x%02x (%s are not available to a guest)", op, name)
}

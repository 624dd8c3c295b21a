package preflight

// Body sums up the code of one function, as far as it decides what compiling it
// costs.
type Body struct {
	Size     int // bytes of the body, locals included
	Locals   int // locals declared, without parameters
	Depth    int // how deep blocks, loops and ifs are nested
	Blocks   int // how many blocks, loops and ifs
	Branches int // how many branches, each target of a table counted
}

// work estimates what a compiler has to do for the body: a part that grows with
// its size, and one that grows with the square of its basic blocks, since that
// is what optimising compilers do. The two factors were fitted to wazero's
// compiler over guests of 3 to 12 MB and over modules made to be slow.
func (b Body) work() int64 {
	n := int64(b.Blocks + b.Branches)
	return 8*int64(b.Size) + n*n/2
}

// body walks over one function's code. It knows the length of every
// instruction of the accepted feature set and nothing about types: those are
// the compiler's to check.
func (r *reader) body(l *Limits) (b Body) {
	b.Size = len(r.b)
	groups := r.count("groups of locals in one function", l.Locals)
	for i := 0; i < groups && r.err == nil; i++ {
		n := r.u32()
		if r.err == nil && uint64(b.Locals)+uint64(n) > uint64(l.Locals) {
			r.err = tooBig("locals in one function", int64(b.Locals)+int64(n), int64(l.Locals))
			return b
		}
		b.Locals += int(n)
		r.valueType()
	}
	depth := 1
	for r.err == nil {
		if depth == 0 {
			if r.left() > 0 {
				r.fail("%d bytes behind the end of a function", r.left())
			}
			break
		}
		switch op := r.byte(); op {
		case 0x02, 0x03, 0x04: // block, loop, if
			r.blockType()
			b.Blocks++
			depth++
			b.Depth = max(b.Depth, depth-1)
			if b.Depth > l.Depth {
				r.err = tooBig("nested blocks", int64(b.Depth), int64(l.Depth))
			}
		case 0x0b: // end
			depth--
		case 0x0c, 0x0d: // br, br_if
			r.u32()
			b.Branches++
		case 0x0e: // br_table
			n := r.count("targets of a branch table", l.Branches)
			b.Branches += n + 1
			for i := 0; i <= n && r.err == nil; i++ {
				r.u32()
			}
		default:
			r.immediates(op)
		}
	}
	if n := b.Blocks + b.Branches; r.err == nil && n > l.Branches {
		r.err = tooBig("blocks and branches in one function", int64(n), int64(l.Branches))
	}
	return b
}

// immediates skips what follows an opcode that is not of control structure.
func (r *reader) immediates(op byte) {
	switch {
	case op == 0x00 || op == 0x01 || op == 0x05 || op == 0x0f: // unreachable, nop, else, return
	case op == 0x10: // call
		r.u32()
	case op == 0x11: // call_indirect
		r.u32()
		r.zero("the table of call_indirect")
	case op == 0x1a || op == 0x1b: // drop, select
	case op == 0x1c: // select with types, which came with the reference types
		for n := r.count("types of a select", 1); n > 0; n-- {
			r.valueType()
		}
	case op >= 0x20 && op <= 0x24: // locals and globals
		r.u32()
	case op >= 0x28 && op <= 0x3e: // loads and stores
		r.memarg()
	case op == 0x3f || op == 0x40: // memory.size, memory.grow
		r.zero("the memory of memory.size or memory.grow")
	case op == 0x41:
		r.skipSigned(32)
	case op == 0x42:
		r.skipSigned(64)
	case op == 0x43:
		r.bytes(4)
	case op == 0x44:
		r.bytes(8)
	case op >= 0x45 && op <= 0xc4: // numeric, sign extension
	case op == 0xfc:
		r.bulk()
	case op == 0xfd:
		r.vector()
	default:
		r.notAllowed(op)
	}
}

func (r *reader) memarg() {
	if align := r.u32(); r.err == nil && align&0x40 != 0 {
		r.err = feature("a load or store with the number of a memory (a guest has one memory)")
	}
	r.u32()
}

// zero reads the number of a table or memory.
func (r *reader) zero(what string) {
	if n := r.u32(); r.err == nil && n != 0 {
		r.refuse(feature("%s is number %d, and only number 0 is allowed (a guest has one table and one memory)", what, n))
	}
}

// bulk skips the immediates of the prefix 0xfc: saturating conversions, memory
// and table operations.
func (r *reader) bulk() {
	switch sub := r.u32(); {
	case r.err != nil:
	case sub <= 7: // trunc_sat
	case sub == 8: // memory.init
		r.u32()
		r.zero("the memory of memory.init")
	case sub == 9: // data.drop
		r.u32()
	case sub == 10: // memory.copy
		r.zero("the memory of memory.copy")
		r.zero("the memory of memory.copy")
	case sub == 11: // memory.fill
		r.zero("the memory of memory.fill")
	case sub == 12: // table.init
		r.u32()
		r.zero("the table of table.init")
	case sub == 13: // elem.drop
		r.u32()
	case sub == 14: // table.copy
		r.zero("the table of table.copy")
		r.zero("the table of table.copy")
	default:
		r.err = feature("the instruction 0xfc %d (reference types are not available to a guest)", sub)
	}
}

// vector skips the immediates of the prefix 0xfd, fixed-width SIMD.
func (r *reader) vector() {
	switch sub := r.u32(); {
	case r.err != nil:
	case sub <= 11 || sub == 92 || sub == 93: // loads and stores
		r.memarg()
	case sub == 12 || sub == 13: // const, shuffle
		r.bytes(16)
	case sub >= 21 && sub <= 34: // lanes
		r.byte()
	case sub >= 84 && sub <= 91: // loads and stores of a lane
		r.memarg()
		r.byte()
	case sub > 255:
		r.err = feature("the vector instruction 0xfd %d (relaxed SIMD is not available to a guest)", sub)
	}
}

func (r *reader) notAllowed(op byte) {
	var name string
	switch {
	case op >= 0x06 && op <= 0x0a || op == 0x18 || op == 0x19 || op == 0x1f:
		name = "exceptions"
	case op >= 0x12 && op <= 0x15:
		name = "tail calls or function references"
	case op == 0x25 || op == 0x26 || op >= 0xd0 && op <= 0xd6:
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

func (r *reader) blockType() {
	if r.pos >= len(r.b) {
		r.fail("ends in the middle of an item")
		return
	}
	switch b := r.b[r.pos]; {
	case b == 0x40: // no result
		r.pos++
	case b&0xc0 == 0x40: // a single byte, negative as a number: a value type
		r.valueType()
	default:
		r.skipSigned(33)
	}
}

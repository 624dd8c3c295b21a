package wasmbin

// Walker goes over the instructions of one piece of code: a function's, after its
// locals, or a constant expression. After [Walker.Begin], each [Walker.Next] reads an
// instruction into the fields of the embedded [Instruction], until it has read the end
// that closes no block, or there is a fault. It allocates nothing.
//
// [Walker.Opcode] reads only the opcode, for a caller that must decide something before
// the immediates are read. [Walker.Immediates], or the next Opcode, then reads them.
type Walker struct {
	Reader
	Instruction

	start  int // where the instruction begins in the reader's bytes
	depth  int // open blocks, including the code as a whole
	unread bool
	labels uint64 // of a branch table: labels left to read
}

// NewWalker returns a walker over what a reader has left.
func NewWalker(r Reader) Walker { return Walker{Reader: r} }

// Instruction is an instruction with its immediates. A field that it does not have is
// 0.
type Instruction struct {
	At        int    // offset in the module
	Behind    int    // offset after the first of several immediates, if it could be read
	Value     int64  // a constant, the bits of one, or the number of a block's type
	Number    uint32 // after a prefix, even of an unknown instruction
	First     uint32 // the first index, as the layout says
	Second    uint32 // the second index, or the memory of a load or store
	Align     uint32 // of a load or store, as a power of two
	MemOffset uint32 // of a load or store
	Op        Opcode
	Lane      byte
	Type      ValueType // of a block's result, [NoResult] if it has none, or 0 if Value is the number of its type
}

// NoResult is the type of a block without parameters and results.
const NoResult ValueType = 0x40

// multiMemory is the bit of an alignment which says that the number of a memory
// follows.
const multiMemory = 0x40

// Begin begins at the position.
func (w *Walker) Begin() { w.depth, w.unread, w.labels = 1, false, 0 }

// Depth is how many blocks are open, including the code as a whole. It is 0 after the
// last end.
func (w *Walker) Depth() int { return w.depth }

// Next reads an instruction. It returns false at the end of the code and after a fault,
// such as an instruction whose immediates are not known.
func (w *Walker) Next() bool {
	if !w.Opcode() {
		return false
	}
	w.Immediates()
	return w.Err == nil
}

// Opcode reads an opcode. An unknown one is not a fault here.
func (w *Walker) Opcode() bool {
	if w.unread || w.labels > 0 {
		w.finish()
	}
	if w.depth == 0 || w.Err != nil {
		return false
	}
	w.start = w.pos
	w.Instruction = Instruction{At: w.base + w.pos}
	if w.pos >= len(w.b) {
		w.ended()
		return false
	}
	op := Opcode(w.b[w.pos])
	w.pos++
	switch op {
	case OpEnd:
		w.depth--
	case prefixBulk:
		w.Number = w.U32()
		op = Bulk(w.Number)
	case prefixVector:
		w.Number = w.U32()
		op = Vector(w.Number)
	}
	w.Op, w.unread = op, true
	return w.Err == nil
}

func (w *Walker) finish() {
	w.Immediates()
	for w.labels > 0 && w.Err == nil {
		w.Label()
	}
}

// Immediates reads what follows the opcode, once. For a branch table, that is the
// number of its labels, which [Walker.Label] or the next Opcode reads.
func (w *Walker) Immediates() {
	if !w.unread {
		return
	}
	w.unread = false
	switch layouts[w.Op%Opcodes] {
	case LayoutNothing:
	case LayoutLocal, LayoutGlobal, LayoutLabel, LayoutFunction, LayoutDataSegment, LayoutElementSegment, LayoutMemoryIndex:
		w.First = w.U32()
	case LayoutAddress:
		w.address()
	case LayoutConst32:
		w.Value = w.signed(32)
	case LayoutConst64:
		w.Value = w.signed(64)
	case LayoutBlockType:
		w.depth++
		w.blockType()
	case LayoutLabels:
		w.First = w.U32()
		w.labels = uint64(w.First) + 1
	case LayoutTypeAndTable, LayoutTwoMemories, LayoutDataAndMemory, LayoutElementsAndTable, LayoutTwoTables:
		w.First = w.U32()
		w.behind()
		w.Second = w.U32()
	case LayoutFloat32:
		w.Value = int64(w.bits(4))
	case LayoutFloat64:
		w.Value = int64(w.bits(8))
	case LayoutConst128, LayoutShuffle:
		w.Bytes(16)
	case LayoutLane:
		w.Lane = w.Byte()
	case LayoutAddressAndLane:
		w.address()
		w.Lane = w.Byte()
	case LayoutHeapType:
		w.heapType()
	default:
		w.Fail("the instruction %s, whose immediates are not known", w.Op)
	}
}

// signed is Signed with a fast path for short numbers.
func (w *Walker) signed(bits uint) int64 {
	if w.pos < len(w.b) {
		if b := w.b[w.pos]; b < 0x80 {
			w.pos++
			return int64(int8(b<<1) >> 1)
		}
	}
	return w.Signed(bits)
}

func (w *Walker) address() {
	w.Align = w.U32()
	w.behind()
	if w.Align&multiMemory != 0 {
		w.Second = w.U32()
	}
	w.MemOffset = w.U32()
}

func (w *Walker) behind() {
	if w.Err == nil {
		w.Behind = w.base + w.pos
	}
}

func (w *Walker) bits(n uint32) (v uint64) {
	for i, b := range w.Bytes(n) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

func (w *Walker) blockType() {
	if w.pos >= len(w.b) {
		w.ended()
		return
	}
	switch b := w.b[w.pos]; {
	case b == byte(NoResult):
		w.pos++
		w.Type = NoResult
	case b&0xc0 == 0x40: // a single byte, negative as a number
		w.Type = w.shortType()
	default:
		w.Value = w.Signed(33)
	}
}

func (w *Walker) heapType() {
	if w.pos < len(w.b) && w.b[w.pos]&0xc0 == 0x40 {
		w.Type = ValueType(w.Byte())
	} else {
		w.Value = w.Signed(33)
	}
}

// Label reads the next label of a branch table. There is one more than First says.
func (w *Walker) Label() uint32 {
	if w.labels == 0 {
		return 0
	}
	w.labels--
	return w.U32()
}

// Raw returns the bytes of the instruction, including all its labels.
func (w *Walker) Raw() []byte {
	w.finish()
	return w.b[w.start:w.pos:w.pos]
}

// Append appends the instruction as its fields describe it; they may have been changed.
// The labels of a branch table and vectors are those that were read.
func (w *Walker) Append(b []byte) []byte {
	raw := w.Raw()
	b = w.Op.Append(b)
	switch layouts[w.Op%Opcodes] {
	case LayoutLocal, LayoutGlobal, LayoutLabel, LayoutFunction, LayoutDataSegment, LayoutElementSegment, LayoutMemoryIndex:
		return AppendU32(b, w.First)
	case LayoutAddress:
		return w.appendAddress(b)
	case LayoutAddressAndLane:
		return append(w.appendAddress(b), w.Lane)
	case LayoutLane:
		return append(b, w.Lane)
	case LayoutConst32, LayoutConst64:
		return AppendSigned(b, w.Value)
	case LayoutBlockType, LayoutHeapType:
		if w.Type == 0 && w.Value < 0 { // not a type: in one byte, it would be read as one
			return append(b, raw[1:]...)
		}
		return AppendBlockType(b, w.Type, w.Value)
	case LayoutLabels:
		r := NewReader(raw[1:], 0)
		n := r.U32()
		b = AppendU32(b, n)
		for range uint64(n) + 1 {
			b = AppendU32(b, r.U32())
		}
	case LayoutTypeAndTable, LayoutTwoMemories, LayoutDataAndMemory, LayoutElementsAndTable, LayoutTwoTables:
		return AppendU32(AppendU32(b, w.First), w.Second)
	case LayoutFloat32:
		return appendBits(b, w.Value, 4)
	case LayoutFloat64:
		return appendBits(b, w.Value, 8)
	case LayoutConst128, LayoutShuffle:
		return append(b, raw[len(raw)-16:]...)
	}
	return b
}

func (i *Instruction) appendAddress(b []byte) []byte {
	if b = AppendU32(b, i.Align); i.Align&multiMemory != 0 {
		b = AppendU32(b, i.Second)
	}
	return AppendU32(b, i.MemOffset)
}

func appendBits(b []byte, v int64, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

// AppendBlockType appends the type of a block in the form of [Instruction].
func AppendBlockType(b []byte, t ValueType, index int64) []byte {
	if t != 0 {
		return append(b, byte(t))
	}
	return AppendSigned(b, index)
}

// Sixteen returns the sixteen bytes of a vector, or of the lanes of a shuffle, after
// they have been read.
func (w *Walker) Sixteen() []byte {
	if w.Err != nil {
		return nil
	}
	return w.b[w.pos-16 : w.pos : w.pos]
}

package wasmbin

import "fmt"

// Opcode is an instruction, and the key of tables about instructions. It is the
// instruction's first byte or, if that is a prefix, a [Bulk] or [Vector] number.
type Opcode uint16

// Opcodes is the number of possible opcodes: tables by opcode have that many entries.
const Opcodes = 0x400

// The prefixes of instructions with two parts.
const (
	prefixBulk   = 0xfc
	prefixVector = 0xfd

	bulkBase   = 0x100
	vectorBase = 0x200

	unknownBulk   = vectorBase - 1 // no instructions
	unknownVector = Opcodes - 1
)

// Bulk returns the instruction that follows the prefix 0xfc: saturating conversions, and
// operations on ranges of memory or a table.
func Bulk(number uint32) Opcode {
	if number < unknownBulk-bulkBase {
		return bulkBase + Opcode(number)
	}
	return unknownBulk
}

// Vector returns the instruction that follows the prefix 0xfd.
func Vector(number uint32) Opcode {
	if number < unknownVector-vectorBase {
		return vectorBase + Opcode(number)
	}
	return unknownVector
}

// Opcodes of control structures, and those that added code is made of.
const (
	OpUnreachable       Opcode = 0x00
	OpNop               Opcode = 0x01
	OpBlock             Opcode = 0x02
	OpLoop              Opcode = 0x03
	OpIf                Opcode = 0x04
	OpElse              Opcode = 0x05
	OpEnd               Opcode = 0x0b
	OpBr                Opcode = 0x0c
	OpBrIf              Opcode = 0x0d
	OpBrTable           Opcode = 0x0e
	OpReturn            Opcode = 0x0f
	OpCall              Opcode = 0x10
	OpCallIndirect      Opcode = 0x11
	OpDrop              Opcode = 0x1a
	OpSelect            Opcode = 0x1b
	OpLocalGet          Opcode = 0x20
	OpLocalSet          Opcode = 0x21
	OpLocalTee          Opcode = 0x22
	OpGlobalGet         Opcode = 0x23
	OpGlobalSet         Opcode = 0x24
	OpTableSet          Opcode = 0x26
	OpI32Load           Opcode = 0x28
	OpI64Load           Opcode = 0x29
	OpI32Load8U         Opcode = 0x2d
	OpI32Store          Opcode = 0x36
	OpI32Store8         Opcode = 0x3a
	OpMemorySize        Opcode = 0x3f
	OpMemoryGrow        Opcode = 0x40
	OpI32Const          Opcode = 0x41
	OpI64Const          Opcode = 0x42
	OpF32Const          Opcode = 0x43
	OpF64Const          Opcode = 0x44
	OpI32Eqz            Opcode = 0x45
	OpI32Eq             Opcode = 0x46
	OpI32LtU            Opcode = 0x49
	OpI32GtU            Opcode = 0x4b
	OpI32LeU            Opcode = 0x4d
	OpI64Eq             Opcode = 0x51
	OpI64GtU            Opcode = 0x56
	OpI64GeS            Opcode = 0x59
	OpI32Add            Opcode = 0x6a
	OpI32Sub            Opcode = 0x6b
	OpI32Or             Opcode = 0x72
	OpI64Add            Opcode = 0x7c
	OpI64Sub            Opcode = 0x7d
	OpI64Mul            Opcode = 0x7e
	OpI64Or             Opcode = 0x84
	OpI64Shl            Opcode = 0x86
	OpI64ShrU           Opcode = 0x88
	OpI64ExtendU        Opcode = 0xad // i64.extend_i32_u
	OpI32ReinterpretF32 Opcode = 0xbc
	OpI64ReinterpretF64 Opcode = 0xbd
	OpF32ReinterpretI32 Opcode = 0xbe
	OpF64ReinterpretI64 Opcode = 0xbf
	OpRefNull           Opcode = 0xd0
	OpRefFunc           Opcode = 0xd2
	OpMemoryInit        Opcode = bulkBase + 8
	OpDataDrop          Opcode = bulkBase + 9
	OpMemoryCopy        Opcode = bulkBase + 10
	OpMemoryFill        Opcode = bulkBase + 11
	OpTableInit         Opcode = bulkBase + 12
	OpElemDrop          Opcode = bulkBase + 13
	OpTableCopy         Opcode = bulkBase + 14
	OpTableGrow         Opcode = bulkBase + 15
	OpTableFill         Opcode = bulkBase + 17
	OpV128Const         Opcode = vectorBase + 12
	OpI8x16Shuffle      Opcode = vectorBase + 13
)

// Prefix returns the instruction's first byte and, after a prefix, its number.
func (op Opcode) Prefix() (first byte, number uint32) {
	switch {
	case op >= vectorBase:
		return prefixVector, uint32(op - vectorBase)
	case op >= bulkBase:
		return prefixBulk, uint32(op - bulkBase)
	}
	return byte(op), 0
}

// Append appends the instruction without its immediates.
func (op Opcode) Append(b []byte) []byte {
	first, number := op.Prefix()
	if b = append(b, first); op >= bulkBase {
		b = AppendU32(b, number)
	}
	return b
}

// Known reports whether this package knows the instruction.
func (op Opcode) Known() bool { return op.Feature() != NoFeature }

// Feature returns the feature that brought the instruction into the format.
func (op Opcode) Feature() Feature { return table[op%Opcodes].feature }

// Layout returns what follows the instruction.
func (op Opcode) Layout() Layout { return layouts[op%Opcodes] }

// Align returns the largest allowed alignment of a load or store, as a power of two.
func (op Opcode) Align() uint32 { return uint32(table[op%Opcodes].align) }

// Lanes returns how many lanes an instruction with a lane number can choose from.
func (op Opcode) Lanes() int { return int(table[op%Opcodes].lanes) }

// String returns the instruction's name in the text format.
func (op Opcode) String() string {
	if name := table[op%Opcodes].name; name != "" {
		return name
	}
	first, number := op.Prefix()
	if op >= bulkBase {
		return fmt.Sprintf("0x%02x %d", first, number)
	}
	return fmt.Sprintf("0x%02x", first)
}

// Feature is a part of the format that was added at one time.
type Feature byte

// The features.
const (
	NoFeature      Feature = iota // no instruction
	FirstVersion                  // the format's first version
	SignExtension                 //
	Saturating                    // conversions
	BulkMemory                    //
	Vectors                       // of fixed width
	ReferenceTypes                //
	Exceptions                    // from here on immediates are not read
	TailCalls                     // and typed references to functions
	Garbage                       // collection
	Threads                       //
	RelaxedVectors                //
)

// Layout is what follows an opcode.
type Layout byte

// The layouts. [Instruction] says what the immediates are called.
const (
	LayoutUnread           Layout = iota // not known here
	LayoutNothing                        // follows
	LayoutBlockType                      // of block, loop and if
	LayoutLabel                          // First
	LayoutLabels                         // First is how many there are before the last
	LayoutFunction                       // First
	LayoutTypeAndTable                   // First and Second, of an indirect call
	LayoutLocal                          // First
	LayoutGlobal                         // First
	LayoutDataSegment                    // First
	LayoutElementSegment                 // First
	LayoutAddress                        // alignment and offset of a load or store
	LayoutAddressAndLane                 //
	LayoutLane                           //
	LayoutMemoryIndex                    // First
	LayoutTwoMemories                    // First and Second
	LayoutDataAndMemory                  // First and Second
	LayoutElementsAndTable               // First and Second
	LayoutTwoTables                      // First and Second
	LayoutConst32                        // Value
	LayoutConst64                        // Value
	LayoutFloat32                        // Value, the bits
	LayoutFloat64                        // Value, the bits
	LayoutConst128                       // the last sixteen bytes of the instruction
	LayoutShuffle                        // likewise, sixteen lanes of two vectors
	LayoutHeapType                       // Value, of ref.null
)

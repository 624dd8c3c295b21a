package wasmbin

import "strings"

// entry is what is known of an instruction besides its layout.
type entry struct {
	name    string
	feature Feature
	align   uint8
	lanes   uint8
}

// The table of instructions. Layouts are separate because the walker needs nothing
// else.
var (
	table   [Opcodes]entry
	layouts [Opcodes]Layout
)

// rows are spans of instructions with the same immediates. A later row replaces an
// earlier one.
var rows = []struct {
	from, to Opcode
	feature  Feature
	layout   Layout
}{
	{0x00, 0x01, FirstVersion, LayoutNothing},
	{0x02, 0x04, FirstVersion, LayoutBlockType},
	{0x05, 0x05, FirstVersion, LayoutNothing},
	{0x06, 0x0a, Exceptions, LayoutUnread},
	{0x0b, 0x0b, FirstVersion, LayoutNothing},
	{0x0c, 0x0d, FirstVersion, LayoutLabel},
	{0x0e, 0x0e, FirstVersion, LayoutLabels},
	{0x0f, 0x0f, FirstVersion, LayoutNothing},
	{0x10, 0x10, FirstVersion, LayoutFunction},
	{0x11, 0x11, FirstVersion, LayoutTypeAndTable},
	{0x12, 0x15, TailCalls, LayoutUnread},
	{0x18, 0x19, Exceptions, LayoutUnread},
	{0x1a, 0x1b, FirstVersion, LayoutNothing},
	{0x1c, 0x1c, ReferenceTypes, LayoutUnread},
	{0x1f, 0x1f, Exceptions, LayoutUnread},
	{0x20, 0x22, FirstVersion, LayoutLocal},
	{0x23, 0x24, FirstVersion, LayoutGlobal},
	{0x25, 0x26, ReferenceTypes, LayoutUnread},
	{0x28, 0x3e, FirstVersion, LayoutAddress},
	{0x3f, 0x40, FirstVersion, LayoutMemoryIndex},
	{0x41, 0x41, FirstVersion, LayoutConst32},
	{0x42, 0x42, FirstVersion, LayoutConst64},
	{0x43, 0x43, FirstVersion, LayoutFloat32},
	{0x44, 0x44, FirstVersion, LayoutFloat64},
	{0x45, 0xbf, FirstVersion, LayoutNothing},
	{0xc0, 0xc4, SignExtension, LayoutNothing},
	{0xd0, 0xd6, ReferenceTypes, LayoutUnread},
	{OpRefNull, OpRefNull, ReferenceTypes, LayoutHeapType},
	{OpRefFunc, OpRefFunc, ReferenceTypes, LayoutFunction},
	{0xfb, 0xfb, Garbage, LayoutUnread},
	{0xfe, 0xfe, Threads, LayoutUnread},
	{bulkBase, bulkBase + 7, Saturating, LayoutNothing},
	{OpMemoryInit, OpMemoryInit, BulkMemory, LayoutDataAndMemory},
	{OpDataDrop, OpDataDrop, BulkMemory, LayoutDataSegment},
	{OpMemoryCopy, OpMemoryCopy, BulkMemory, LayoutTwoMemories},
	{OpMemoryFill, OpMemoryFill, BulkMemory, LayoutMemoryIndex},
	{OpTableInit, OpTableInit, BulkMemory, LayoutElementsAndTable},
	{OpElemDrop, OpElemDrop, BulkMemory, LayoutElementSegment},
	{OpTableCopy, OpTableCopy, BulkMemory, LayoutTwoTables},
	{bulkBase + 15, bulkBase + 17, ReferenceTypes, LayoutUnread},
	{vectorBase, vectorBase + 255, Vectors, LayoutNothing},
	{vectorBase, vectorBase + 11, Vectors, LayoutAddress},
	{OpV128Const, OpV128Const, Vectors, LayoutConst128},
	{OpI8x16Shuffle, OpI8x16Shuffle, Vectors, LayoutShuffle},
	{vectorBase + 21, vectorBase + 34, Vectors, LayoutLane},
	{vectorBase + 84, vectorBase + 91, Vectors, LayoutAddressAndLane},
	{vectorBase + 92, vectorBase + 93, Vectors, LayoutAddress},
	{vectorBase + 256, vectorBase + 275, RelaxedVectors, LayoutUnread},
}

// unusedVectors are numbers between vector instructions that stand for no
// instruction.
const unusedVectors = "\x9a\xa2\xa5\xa6\xaf\xb0\xb2\xb3\xb4\xbb\xc2\xc5\xc6\xcf\xd0\xd2\xd3\xd4\xe2\xee"

// The loads and stores that may be aligned to 1, 2, 4, 8 and 16 bytes.
var (
	plainAligned  = []string{"\x2c\x2d\x30\x31\x3a\x3c", "\x2e\x2f\x32\x33\x3b\x3d", "\x28\x2a\x34\x35\x36\x38\x3e", "\x29\x2b\x37\x39"}
	vectorAligned = []string{"\x07\x54\x58", "\x08\x55\x59", "\x09\x56\x5a\x5c", "\x01\x02\x03\x04\x05\x06\x0a\x57\x5b\x5d", "\x00\x0b"}
)

// vectorLanes are the instructions with 2, 4, 8 and 16 lanes to choose from.
var vectorLanes = []string{"\x1d\x1e\x21\x22\x57\x5b", "\x1b\x1c\x1f\x20\x56\x5a", "\x18\x19\x1a\x55\x59", "\x15\x16\x17\x54\x58"}

func init() {
	for _, row := range rows {
		for op := row.from; op <= row.to; op++ {
			table[op].feature, layouts[op] = row.feature, row.layout
		}
	}
	each := func(lists []string, base Opcode, set func(e *entry, i int)) {
		for i, ops := range lists {
			for j := range len(ops) {
				set(&table[base+Opcode(ops[j])], i)
			}
		}
	}
	each(plainAligned, 0, func(e *entry, i int) { e.align = uint8(i) })
	each(vectorAligned, vectorBase, func(e *entry, i int) { e.align = uint8(i) })
	each(vectorLanes, vectorBase, func(e *entry, i int) { e.lanes = 2 << i })
	for i := range len(unusedVectors) {
		op := vectorBase + Opcode(unusedVectors[i])
		table[op], layouts[op] = entry{}, LayoutUnread
	}
	for base, names := range map[Opcode]string{0: plainNames, bulkBase: bulkNames, vectorBase: vectorNames} {
		for i, name := range strings.Fields(names) {
			if name != "-" {
				table[base+Opcode(i)].name = name
			}
		}
	}
}

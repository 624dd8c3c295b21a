package wasmbin

import "fmt"

// The numbers of the sections.
const (
	SectionCustom    byte = 0
	SectionType      byte = 1
	SectionImport    byte = 2
	SectionFunction  byte = 3
	SectionTable     byte = 4
	SectionMemory    byte = 5
	SectionGlobal    byte = 6
	SectionExport    byte = 7
	SectionStart     byte = 8
	SectionElement   byte = 9
	SectionCode      byte = 10
	SectionData      byte = 11
	SectionDataCount byte = 12
	SectionTag       byte = 13
)

// sectionOrder gives each section's place among the others: the data count comes
// between the elements and the code, tags between memories and globals.
var sectionOrder = [...]int{
	SectionType: 1, SectionImport: 2, SectionFunction: 3, SectionTable: 4, SectionMemory: 5, SectionTag: 6, SectionGlobal: 7,
	SectionExport: 8, SectionStart: 9, SectionElement: 10, SectionDataCount: 11, SectionCode: 12, SectionData: 13,
}

var sectionNames = [...]string{
	SectionCustom: "custom", SectionType: "type", SectionImport: "import", SectionFunction: "function",
	SectionTable: "table", SectionMemory: "memory", SectionGlobal: "global", SectionExport: "export",
	SectionStart: "start", SectionElement: "element", SectionCode: "code", SectionData: "data",
	SectionDataCount: "data count", SectionTag: "tag",
}

// SectionName returns the name of the section with a number.
func SectionName(id byte) string {
	if KnownSection(id) {
		return sectionNames[id]
	}
	return fmt.Sprintf("number %d", id)
}

// KnownSection reports whether the format has a section with that number.
func KnownSection(id byte) bool { return int(id) < len(sectionNames) }

// SectionOrder returns a number that is larger for each section that comes later in
// a module. It returns 0 for custom sections, which may come anywhere, and for
// unknown ones.
func SectionOrder(id byte) int {
	if int(id) < len(sectionOrder) {
		return sectionOrder[id]
	}
	return 0
}

// Section reads a section's number and its content. After a fault the number is
// that of the section with the fault.
func (r *Reader) Section() (id byte, content Reader) {
	id = r.Byte()
	return id, r.Sub(r.U32())
}

const (
	magic  = "\x00asm"
	header = magic + "\x01\x00\x00\x00"
)

// Sections returns a reader of the sections of a module, after its header.
func Sections(wasm []byte) (Reader, error) {
	r := NewReader(wasm, 0)
	switch {
	case len(wasm) < 8 || string(wasm[:4]) != magic:
		return r, fmt.Errorf("%w: it begins with %q: must begin with %q and a version",
			ErrNotWasm, wasm[:min(len(wasm), 8)], magic)
	case string(wasm[:8]) == header:
		r.pos = len(header)
		return r, nil
	case wasm[6] == 1 && wasm[7] == 0:
		return r, fmt.Errorf("%w: it is a component: must be a core module", ErrNotWasm)
	}
	return r, fmt.Errorf("%w: it has version % x of the format: must be 01 00 00 00", ErrNotWasm, wasm[4:8])
}

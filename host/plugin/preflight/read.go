package preflight

import "fmt"

const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
	sectionTag       = 13
)

// sectionOrder says where each section stands among the others: the data count
// comes between the elements and the code.
var sectionOrder = [...]int{
	sectionType: 1, sectionImport: 2, sectionFunction: 3, sectionTable: 4, sectionMemory: 5, sectionGlobal: 6,
	sectionExport: 7, sectionStart: 8, sectionElement: 9, sectionDataCount: 10, sectionCode: 11, sectionData: 12,
}

var sectionNames = [...]string{
	sectionCustom: "custom", sectionType: "type", sectionImport: "import", sectionFunction: "function",
	sectionTable: "table", sectionMemory: "memory", sectionGlobal: "global", sectionExport: "export",
	sectionStart: "start", sectionElement: "element", sectionCode: "code", sectionData: "data",
	sectionDataCount: "data count", sectionTag: "tag",
}

// SectionName returns the name of a section's number.
func SectionName(id byte) string {
	if int(id) < len(sectionNames) {
		return sectionNames[id]
	}
	return fmt.Sprintf("number %d", id)
}

// Read returns the outline of a module, or why it is refused. The result holds
// no reference to wasm. Time and memory are bounded by the module's length,
// which itself is the first thing to be compared with the limits.
//
// A start section is no error here; Module.Start tells of it.
func Read(wasm []byte, limits Limits) (*Module, error) {
	l := limits.orDefault()
	if len(wasm) > l.Module {
		return nil, tooBig("bytes", int64(len(wasm)), int64(l.Module))
	}
	if err := header(wasm); err != nil {
		return nil, err
	}
	m := &Module{Size: len(wasm)}
	r := &reader{b: wasm, pos: 8}
	last, named := 0, false
	for r.more() {
		id := r.byte()
		size := r.u32()
		at := r.offset()
		body := r.sub(size)
		if r.err != nil {
			return nil, fmt.Errorf("%w (section %s)", r.err, SectionName(id))
		}
		section := Section{ID: id, Offset: at, Size: int(size)}
		switch {
		case id == sectionTag:
			return nil, feature("a tag section (exceptions)")
		case int(id) >= len(sectionNames):
			return nil, malformed(at, "an unknown section, number %d", id)
		case id == sectionCustom:
			section.Name = body.name(len(wasm))
			m.CustomSize += int64(size)
			if section.Name == "name" && body.err == nil {
				if named {
					body.fail("a second name section")
				}
				named = true
				body.names(&l)
			}
		case sectionOrder[id] <= last:
			return nil, malformed(at, "the %s section comes twice or too late", SectionName(id))
		default:
			last = sectionOrder[id]
			m.section(&body, id, &l)
			if body.more() {
				body.fail("%d bytes that belong to nothing", body.left())
			}
		}
		if body.err != nil {
			return nil, fmt.Errorf("%w (section %s)", body.err, SectionName(id))
		}
		if len(m.Sections) < maxSections {
			m.Sections = append(m.Sections, section)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if m.Functions != m.codes {
		return nil, malformed(len(wasm), "%d functions are declared and %d have code", m.Functions, m.codes)
	}
	return m, nil
}

// maxSections bounds the list of sections in the outline; a module may have any
// number of custom ones.
const maxSections = 256

func header(wasm []byte) error {
	const magic = "\x00asm"
	switch {
	case len(wasm) < 8 || string(wasm[:4]) != magic:
		return fmt.Errorf("%w: it begins with %q, and should begin with %q and a version",
			ErrNotWasm, wasm[:min(len(wasm), 8)], magic)
	case string(wasm[4:8]) == "\x01\x00\x00\x00":
		return nil
	case wasm[6] == 1 && wasm[7] == 0:
		return fmt.Errorf("%w: it is a component, and should be a core module", ErrNotWasm)
	}
	return fmt.Errorf("%w: it has version % x of the format, and should have 01 00 00 00", ErrNotWasm, wasm[4:8])
}

func (m *Module) section(r *reader, id byte, l *Limits) {
	switch id {
	case sectionType:
		m.readTypes(r, l)
	case sectionImport:
		m.readImports(r, l)
	case sectionFunction:
		m.readFunctions(r, l)
	case sectionTable:
		m.readTables(r, l)
	case sectionMemory:
		m.readMemories(r)
	case sectionGlobal:
		m.readGlobals(r, l)
	case sectionExport:
		m.readExports(r, l)
	case sectionStart:
		m.Start = true
		r.u32()
	case sectionElement:
		m.readElements(r, l)
	case sectionDataCount:
		r.u32()
	case sectionCode:
		m.readCode(r, l)
	case sectionData:
		m.readData(r, l)
	}
}

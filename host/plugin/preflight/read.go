package preflight

import (
	"errors"
	"fmt"
)

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

// Read returns the outline of a module, or the first of the reasons why it is
// refused. The result holds no reference to wasm. Time and memory are bounded
// by the module's length.
//
// A start section is no error here; Module.Start tells of it.
func Read(wasm []byte, limits Limits) (*Module, error) {
	m, why := Review(wasm, limits)
	if len(why) > 0 {
		return nil, why[0]
	}
	return m, nil
}

// Review is [Read] that goes on behind a reason to refuse the module wherever
// what follows is still clear. It returns all reasons that it finds, in the
// order of the module, each once and a hundred at most, and the outline as far
// as it could be read, which is never nil. Where reading ended before the
// module did, Module.Incomplete is set and the last reason has the offset.
//
// Of a function with an instruction that a guest may not use, the rest is not
// looked at.
func Review(wasm []byte, limits Limits) (*Module, []error) {
	l := limits.orDefault()
	m, found := &Module{Size: len(wasm)}, new(reasons)
	if len(wasm) > l.Module {
		found.add(tooBig("bytes", int64(len(wasm)), int64(l.Module)))
	}
	err := header(wasm)
	if err == nil {
		err = m.read(&reader{b: wasm, pos: 8, reasons: found}, &l)
	}
	if err != nil {
		m.Incomplete = true
		found.add(err)
	}
	return m, found.all
}

// read reads all sections, up to what cannot be read.
func (m *Module) read(r *reader, l *Limits) error {
	last, named := 0, false
	for r.more() {
		id := r.byte()
		size := r.u32()
		at := r.offset()
		body := r.sub(size)
		if r.err != nil {
			return fmt.Errorf("%w (section %s)", r.err, SectionName(id))
		}
		section := Section{ID: id, Offset: at, Size: int(size)}
		first := len(r.reasons.all)
		switch {
		case id == sectionTag:
			r.refuse(feature("a tag section (exceptions)"))
			first++ // it has said where it is
			body.pos = len(body.b)
		case int(id) >= len(sectionNames):
			return malformed(at, "an unknown section, number %d", id)
		case id == sectionCustom:
			section.Name = body.name(len(r.b))
			m.CustomSize += int64(size)
			if section.Name == "name" && body.err == nil {
				if named {
					body.fail("a second name section")
				}
				named = true
				body.names(l)
			}
			if section.Name == "producers" && body.err == nil && m.Producers == nil {
				// What is wrong with it is nobody's concern.
				said := reader{b: body.b[body.pos:], reasons: new(reasons)}
				m.Producers = said.producers()
			}
		case sectionOrder[id] <= last:
			return malformed(at, "the %s section comes twice or too late", SectionName(id))
		default:
			last = sectionOrder[id]
			m.section(&body, id, l)
			if body.more() {
				body.fail("%d bytes that belong to nothing", body.left())
			}
		}
		r.reasons.place(min(first, len(r.reasons.all)), "section "+SectionName(id))
		switch {
		case body.err == nil:
		case errors.Is(body.err, ErrMalformed):
			return fmt.Errorf("%w (section %s)", body.err, SectionName(id))
		default:
			return fmt.Errorf("%w (section %s, read up to byte %d)", body.err, SectionName(id), body.offset())
		}
		if len(m.Sections) < maxSections {
			m.Sections = append(m.Sections, section)
		}
		m.exportsRead = m.exportsRead || last >= sectionOrder[sectionExport]
	}
	if r.err != nil {
		return r.err
	}
	if m.Functions != m.codes {
		return malformed(len(r.b), "%d functions are declared and %d have code", m.Functions, m.codes)
	}
	m.exportsRead = true // or there are none
	if m.dataCounted && !m.dataRead && m.dataCount != 0 {
		return malformed(len(r.b), "no data segments, and the data count section says %d", m.dataCount)
	}
	return nil
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
		m.readDataCount(r)
	case sectionCode:
		m.readCode(r, l)
	case sectionData:
		m.readData(r, l)
	}
}

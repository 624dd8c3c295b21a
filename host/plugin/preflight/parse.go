package preflight

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// SectionName returns the name of the section of that number.
func SectionName(id byte) string { return wasmbin.SectionName(id) }

// Parse returns the outline of a module, or the first of the reasons to refuse it. The
// result holds no reference to wasm. The module's length bounds time and memory.
//
// A start section is not an error here; Module.Start reports it.
func Parse(wasm []byte, limits Limits) (*Module, error) {
	m, why := ValidateAll(wasm, limits)
	if len(why) > 0 {
		return nil, why[0]
	}
	return m, nil
}

// ValidateAll is [Parse] that goes on after a reason to refuse the module wherever it
// can still tell what follows. It returns all reasons that it finds, each once and at
// most a hundred, in the order of the module. The outline is never nil and reaches as
// far as the module could be read. If reading ended before the module did,
// Module.Incomplete is set and the last reason has the offset.
//
// It skips the rest of a function after an instruction that a guest may not use.
func ValidateAll(wasm []byte, limits Limits) (*Module, []error) {
	l := limits.orDefault()
	m, found := &Module{Size: len(wasm)}, new(reasons)
	if len(wasm) > l.Module {
		found.add(tooBig("bytes", int64(len(wasm)), int64(l.Module)))
	}
	sections, err := wasmbin.Sections(wasm)
	if err == nil {
		r := newReader(sections, found)
		err = m.read(&r, &l)
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
	for r.More() {
		id, content := r.Section()
		at, size := content.Offset(), content.Left()
		body := newReader(content, r.reasons)
		if r.Err != nil {
			return fmt.Errorf("%w (section %s)", r.Err, SectionName(id))
		}
		section := Section{ID: id, Offset: at, Size: size}
		first := len(r.reasons.all)
		switch {
		case id == wasmbin.SectionTag:
			r.refuse(feature("a tag section (exceptions)"))
			first++ // the message says where it is
			body.Skip()
		case !wasmbin.KnownSection(id):
			return wasmbin.Malformed(at, "an unknown section, number %d", id)
		case id == wasmbin.SectionCustom:
			section.Name = body.name(m.Size)
			m.CustomSize += int64(size)
			if section.Name == "name" && body.Err == nil {
				if named {
					body.Fail("a second name section")
				}
				named = true
				body.names(l)
			}
			if section.Name == "producers" && body.Err == nil && m.Producers == nil {
				// A fault in it does not matter.
				said := newReader(body.Reader, new(reasons))
				m.Producers = said.producers()
			}
		case wasmbin.SectionOrder(id) <= last:
			return wasmbin.Malformed(at, "the %s section comes twice or too late", SectionName(id))
		default:
			last = wasmbin.SectionOrder(id)
			m.section(&body, id, l)
			body.End()
		}
		r.reasons.place(min(first, len(r.reasons.all)), "section "+SectionName(id))
		switch {
		case body.Err == nil:
		case errors.Is(body.Err, ErrMalformed):
			return fmt.Errorf("%w (section %s)", body.Err, SectionName(id))
		default:
			return fmt.Errorf("%w (section %s, read up to byte %d)", body.Err, SectionName(id), body.Offset())
		}
		if len(m.Sections) < maxSections {
			m.Sections = append(m.Sections, section)
		}
		m.exportsRead = m.exportsRead || last >= wasmbin.SectionOrder(wasmbin.SectionExport)
	}
	if r.Err != nil {
		return r.Err
	}
	if m.Functions != m.codes {
		return wasmbin.Malformed(m.Size, "%d functions have code: must be %d, as many as are declared", m.codes, m.Functions)
	}
	m.exportsRead = true // or there are none
	if m.dataCounted && !m.dataRead && m.dataCount != 0 {
		return wasmbin.Malformed(m.Size, "0 data segments: must be %d, as the data count section says", m.dataCount)
	}
	return nil
}

// maxSections bounds the list of sections in the outline; a module may have any
// number of custom ones.
const maxSections = 256

func (m *Module) section(r *reader, id byte, l *Limits) {
	switch id {
	case wasmbin.SectionType:
		m.readTypes(r, l)
	case wasmbin.SectionImport:
		m.readImports(r, l)
	case wasmbin.SectionFunction:
		m.readFunctions(r, l)
	case wasmbin.SectionTable:
		m.readTables(r, l)
	case wasmbin.SectionMemory:
		m.readMemories(r)
	case wasmbin.SectionGlobal:
		m.readGlobals(r, l)
	case wasmbin.SectionExport:
		m.readExports(r, l)
	case wasmbin.SectionStart:
		m.Start = true
		r.U32()
	case wasmbin.SectionElement:
		m.readElements(r, l)
	case wasmbin.SectionDataCount:
		m.readDataCount(r)
	case wasmbin.SectionCode:
		m.readCode(r, l)
	case wasmbin.SectionData:
		m.readData(r, l)
	}
}

package wasmbin

import (
	"fmt"
	"slices"
)

// Module is a module as a list of sections, which can be changed and written back.
type Module struct {
	Sections []Section
}

// Section is a section of a [Module]. The content of a custom section begins with its
// name.
type Section struct {
	ID      byte
	Content []byte
	Offset  int // of the content, in the module that was read
}

// Reader returns a reader of the content.
func (s *Section) Reader() Reader { return NewReader(s.Content, s.Offset) }

// Parse takes a module apart. The contents are parts of wasm. It does not look into
// sections, which may be missing or out of order.
func Parse(wasm []byte) (*Module, error) {
	r, err := Sections(wasm)
	if err != nil {
		return nil, err
	}
	m := new(Module)
	for r.More() {
		id, content := r.Section()
		if r.Err != nil {
			return nil, fmt.Errorf("%w (section %s)", r.Err, SectionName(id))
		}
		m.Sections = append(m.Sections, Section{id, content.Rest(), content.Offset()})
	}
	return m, nil
}

// Append appends the module in binary form.
func (m *Module) Append(b []byte) []byte {
	b = AppendHeader(b)
	for _, s := range m.Sections {
		b = AppendSection(b, s.ID, s.Content)
	}
	return b
}

// Section returns the first section with that number, or nil.
func (m *Module) Section(id byte) *Section {
	i := slices.IndexFunc(m.Sections, func(s Section) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	return &m.Sections[i]
}

// Custom returns the first custom section with that name, and a reader of what follows
// the name. It returns nil if there is none.
func (m *Module) Custom(name string) (*Section, Reader) {
	for i := range m.Sections {
		if s := &m.Sections[i]; s.ID == SectionCustom {
			if r := s.Reader(); r.Name() == name && r.Err == nil {
				return s, r
			}
		}
	}
	return nil, Reader{}
}

// Set replaces the content of a section. A missing section is inserted where it
// belongs, a custom one at the end.
func (m *Module) Set(id byte, content []byte) {
	if s := m.Section(id); s != nil && id != SectionCustom {
		s.Content = content
		return
	}
	at := len(m.Sections)
	if order := SectionOrder(id); order > 0 {
		if i := slices.IndexFunc(m.Sections, func(s Section) bool { return SectionOrder(s.ID) > order }); i >= 0 {
			at = i
		}
	}
	m.Sections = slices.Insert(m.Sections, at, Section{ID: id, Content: content})
}

// Item is an element of the list in a section.
type Item interface{ Append([]byte) []byte }

// SetItems replaces the items of a section of a module.
func SetItems[T Item](m *Module, id byte, items []T) { m.Set(id, AppendItems(nil, items)) }

// AppendItems appends the number of items and then the items.
func AppendItems[T Item](b []byte, items []T) []byte {
	b = AppendU32(b, uint32(len(items)))
	for _, item := range items {
		b = item.Append(b)
	}
	return b
}

// Items reads the list in a section of a module, as in Items(m, SectionImport,
// (*Reader).Import). It is empty if there is no such section.
func Items[T any](m *Module, id byte, read func(*Reader) T) ([]T, error) {
	s := m.Section(id)
	if s == nil {
		return nil, nil
	}
	var items []T
	r := s.Reader()
	for n := r.Count("items"); n > 0 && r.Err == nil; n-- {
		items = append(items, read(&r))
	}
	r.End()
	if r.Err != nil {
		return nil, fmt.Errorf("%w (section %s)", r.Err, SectionName(id))
	}
	return items, nil
}

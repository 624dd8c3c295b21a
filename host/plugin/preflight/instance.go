package preflight

// What an instance takes of the host's memory for each item that its module
// declares, in bytes, as measured of wazero's compiler and rounded up. The module
// pays a byte or none for most of them.
const (
	sizeOfEntry    = 8  // of a table
	sizeOfElement  = 44 // an entry of an element segment: what a table's entry points to
	sizeOfSegment  = 28 // of elements, or of data that the host cannot join with others
	sizeOfGlobal   = 96
	sizeOfImport   = 48
	sizeOfExport   = 16 // a table notes who exports it
	sizeOfFunction = 40 // only where code is interpreted
)

// InstanceSize estimates how many bytes one instance takes in the host beside its
// linear memory, for all that the module has declared: the table, elements,
// globals, segments, imports. Functions count if the code is interpreted.
func (m *Module) InstanceSize(interpreted bool) int64 {
	size := sizeOfElement*int64(m.Elements) + sizeOfSegment*int64(m.ElementSegments+m.Segments) +
		sizeOfGlobal*int64(m.Globals) + sizeOfImport*int64(len(m.Imports)) + sizeOfExport*int64(len(m.Exports))
	size += sizeOfEntry * m.TableSize()
	if interpreted {
		size += sizeOfFunction * int64(m.Functions)
	}
	return size
}

// TableSize is how many entries the table has, which do not become more. 0 if
// there is none.
func (m *Module) TableSize() int64 {
	if m.Table == nil {
		return 0
	}
	return m.Table.Min
}

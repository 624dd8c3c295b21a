package preflight

// How many bytes of the host's memory an instance takes for each item that its module
// declares, as measured with wazero's compiler and rounded up. Most of these items take
// a byte of the module or none.
const (
	sizeOfEntry    = 8  // of a table
	sizeOfElement  = 44 // an entry of an element segment: what a table's entry points to
	sizeOfSegment  = 28 // of elements, or of data that the host cannot join with others
	sizeOfGlobal   = 96
	sizeOfImport   = 48
	sizeOfExport   = 16 // a table notes who exports it
	sizeOfFunction = 40 // only if the code is interpreted
)

// InstanceSize estimates how many bytes of the host's memory one instance takes beside
// its linear memory, for everything that the module declares: table, elements, globals,
// segments, imports, exports. Functions count only if the code is interpreted.
func (m *Module) InstanceSize(interpreted bool) int64 {
	size := sizeOfElement*int64(m.Elements) + sizeOfSegment*int64(m.ElementSegments+m.Segments) +
		sizeOfGlobal*int64(m.Globals) + sizeOfImport*int64(len(m.Imports)) + sizeOfExport*int64(len(m.Exports))
	size += sizeOfEntry * m.TableSize()
	if interpreted {
		size += sizeOfFunction * int64(m.Functions)
	}
	return size
}

// TableSize returns how many entries the table has, 0 if there is none. The table cannot
// grow.
func (m *Module) TableSize() int64 {
	if m.Table == nil {
		return 0
	}
	return m.Table.Min
}

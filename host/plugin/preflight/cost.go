package preflight

// The estimates of what compiling takes follow how wazero's compiler works. Their
// factors were measured. A unit of cost is a twenty-five millionth of a second of one
// core.
const (
	workFunction  = 200 // of each function
	workSignature = 60  // of each type
	workType      = 12  // of each parameter and result of a type

	memoryFunction  = 400
	memorySignature = 1200
	memoryType      = 130
)

// charge adds the cost of a function to the module's.
func (m *Module) charge(b *Body) {
	m.CompileCost += b.work(m) + m.workEach(b)
	m.output += memoryFunction + 2*b.code()
	m.functionMemory = max(m.functionMemory, b.memory(m))
	m.CompileMemory = m.functionMemory + m.output + m.typesMemory()
	m.widest = max(m.widest, b.Basic+int64(b.Branches))
	definitions := int64(b.Read)
	if b.Calls > 0 {
		definitions += int64(m.Mutable)
	}
	m.fullest = max(m.fullest, definitions)
}

// workEach is the cost of each function whatever its code. The compiler goes through all
// types and globals, and what it keeps for basic blocks is as large as the largest
// function so far needed.
func (m *Module) workEach(b *Body) int64 {
	return workFunction + int64(m.TypeCount)/3 + int64(m.Globals)/3 + m.widest/4 + (b.points()+1)*m.fullest/16
}

// chargeTypes adds the cost of the types: each gets code for calls from the host.
func (m *Module) chargeTypes() {
	m.CompileCost += workSignature*int64(m.TypeCount) + workType*m.typeValues
}

func (m *Module) typesMemory() int64 {
	return memorySignature*int64(m.TypeCount) + memoryType*m.typeValues
}

// work estimates the cost of compiling the body.
func (b *Body) work(m *Module) int64 {
	n, live, read := b.points(), min(int64(b.Live), 1<<31), int64(b.Read)
	w := b.Instructions + b.Climbs/3 + b.Meets/3 + 2*n*int64(b.Loops) + b.Known/2 + 30*int64(b.Values)
	w += b.Lookups/2 + b.Merges*read/2
	w += 15*int64(b.Calls)*int64(m.Mutable) + b.Resets/12
	if n > 0 {
		rounds := max(4, int64(b.Loops))
		w += 2*live + live/n*live/40*rounds
	}
	return min(w, 1<<40) // so that sums do not overflow
}

// memory estimates how many bytes the compiler takes for the body.
func (b *Body) memory(m *Module) int64 {
	return b.Memory + 40*b.Known + 320*int64(b.Live) + 450*int64(b.Values) + 190*int64(b.Calls)*int64(m.Mutable)
}

// code estimates how many bytes of machine code the body becomes.
func (b *Body) code() int64 {
	return b.Code + 16*int64(b.Values) + 3*int64(b.Live)
}

// points returns roughly the number of basic blocks.
func (b *Body) points() int64 { return int64(b.Blocks + b.Branches) }

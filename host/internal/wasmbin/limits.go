package wasmbin

// Limits are the size of a table in entries, or of a memory in pages of 64 KiB.
type Limits struct {
	Flags    byte   // [HasMax], [Shared] and [Is64]
	Min, Max uint64 // Max only with HasMax
}

// The flags of [Limits].
const (
	HasMax byte = 1 << iota
	Shared
	Is64
)

// Limits reads the limits of a "table" or "memory", as named by what. Flags are right
// even if the sizes that follow have a fault.
func (r *Reader) Limits(what string) Limits {
	l := Limits{Flags: r.Byte()}
	if r.Err == nil && l.Flags > HasMax|Shared|Is64 {
		r.Fail("unknown limits 0x%02x of a %s", l.Flags, what)
		l.Flags = 0
	}
	l.Min = r.limit(l.Flags)
	if l.Flags&HasMax != 0 {
		if l.Max = r.limit(l.Flags); r.Err == nil && l.Max < l.Min {
			r.Fail("a %s of at least %d and at most %d", what, l.Min, l.Max)
		}
	}
	return l
}

func (r *Reader) limit(flags byte) uint64 {
	if flags&Is64 != 0 {
		return r.U64()
	}
	return uint64(r.U32())
}

// Append appends the limits.
func (l Limits) Append(b []byte) []byte {
	b = AppendU64(append(b, l.Flags), l.Min)
	if l.Flags&HasMax != 0 {
		b = AppendU64(b, l.Max)
	}
	return b
}

// Memory is an entry of the memory section.
type Memory struct{ Limits }

// Memory reads an entry of the memory section.
func (r *Reader) Memory() Memory { return Memory{r.Limits("memory")} }

// Table is an entry of the table section.
type Table struct {
	Type ValueType
	Limits
}

// Table reads an entry of the table section.
func (r *Reader) Table() Table { return Table{r.shortType(), r.Limits("table")} }

// Append appends the entry.
func (t Table) Append(b []byte) []byte { return t.Limits.Append(append(b, byte(t.Type))) }

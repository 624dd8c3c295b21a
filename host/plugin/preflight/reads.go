package preflight

// reads counts the different locals and globals that a function reads. One function
// after another uses it, so most functions take no memory.
type reads struct {
	function        uint32 // a number for the function
	locals, globals []uint32
	found, declared int
}

func (r *reads) begin(locals int) {
	r.function++
	r.found, r.declared = 0, locals
}

func (r *reads) local(n uint32) { r.note(&r.locals, n, r.declared) }

func (r *reads) global(n uint32, declared int) { r.note(&r.globals, n, declared) }

func (r *reads) count() int { return r.found }

// note marks a local or global with the number of the function that reads it.
func (r *reads) note(marks *[]uint32, n uint32, declared int) {
	if uint64(n) >= uint64(declared) {
		return
	}
	if int(n) >= len(*marks) {
		*marks = append(*marks, make([]uint32, int(n)+1-len(*marks))...)
	}
	if (*marks)[n] != r.function {
		(*marks)[n] = r.function
		r.found++
	}
}

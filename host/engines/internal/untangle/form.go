package untangle

import "github.com/waddle-sessions/waddle/host/internal/wasmbin"

// form is a function taken apart that has the form which Go's assembler writes:
//
//	<start>
//	block                 ; left when a goroutine is switched
//	  loop                ; a jump sets local 0 and begins here anew
//	    block … block     ; one for each region
//	      local.get 0
//	      br_table …      ; goes to the region that local 0 says
//	    end
//	    <region 0>
//	    end
//	    <region 1>
//	    …
//	  end
//	  unreachable
//	end
//	i32.const 1
//
// A region goes on in the next one. A function that calls nothing has no outer block, and
// one that never jumps has no loop.
type form struct {
	start   []instruction
	unwinds bool            // there is an outer block
	table   []uint32        // the region of each value of local 0; the last one also of all larger ones
	regions [][]instruction // with the pseudo instructions
}

// Where Go keeps things.
const (
	startsAt = 0 // the local, and only parameter, that says where a function begins
	localSP  = 1 // the local with the stack pointer
	globalSP = 0 // the global with the stack pointer
)

// Pseudo instructions in regions.
const (
	opJump     = wasmbin.Opcodes - 2 - iota // to the region first; value is what local 0 is for it
	opUnwind                                // leaves the outer block
	opUnwindIf                              // does so under a condition
)

// formOf takes a function apart. It fails if the function has another form.
func formOf(f *function) (*form, bool) {
	r := formReader{code: f.code}
	if !r.head() {
		return nil, false
	}
	for region := range r.blocks {
		code, ok := r.region(region)
		if !ok {
			return nil, false
		}
		r.regions = append(r.regions, code)
	}
	return &r.form, r.tail()
}

type formReader struct {
	form
	code   []instruction
	at     int
	blocks int
	loops  bool
}

// take skips an instruction if it is the next one.
func (r *formReader) take(op wasmbin.Opcode) bool {
	if r.at < len(r.code) && r.code[r.at].op == op {
		r.at++
		return true
	}
	return false
}

func (r *formReader) head() bool {
	for r.at < len(r.code) && r.code[r.at].op != wasmbin.OpBlock && r.code[r.at].op != wasmbin.OpLoop {
		switch r.code[r.at].op {
		case wasmbin.OpIf, wasmbin.OpBr, wasmbin.OpBrIf, wasmbin.OpReturn:
			return false
		}
		r.at++
	}
	r.start = r.code[:r.at]
	outer := 0
	for r.take(wasmbin.OpBlock) {
		outer++
	}
	if r.loops = r.take(wasmbin.OpLoop); r.loops {
		r.unwinds = outer == 1
		for r.take(wasmbin.OpBlock) {
			r.blocks++
		}
		if outer > 1 {
			return false
		}
	} else {
		// Which block is the outer one, if any, shows at the end.
		n := len(r.code)
		r.unwinds = n > 2 && r.code[n-1].op == wasmbin.OpI32Const && r.code[n-1].value == 1 && r.code[n-2].op == wasmbin.OpEnd
		if r.blocks = outer; r.unwinds {
			r.blocks--
		}
	}
	if r.blocks < 1 || r.at+3 > len(r.code) || !r.code[r.at].is(wasmbin.OpLocalGet, startsAt) || r.code[r.at+1].op != wasmbin.OpBrTable {
		return false
	}
	r.table = r.code[r.at+1].labels
	for _, label := range r.table {
		if int(label) >= r.blocks {
			return false
		}
	}
	r.at += 2
	return r.take(wasmbin.OpEnd)
}

// region reads one region, and the end that closes the next one's block or the loop. The
// last one, where there is no loop, goes up to what every function ends with.
func (r *formReader) region(number int) (code []instruction, ok bool) {
	last := number == r.blocks-1 && !r.loops
	inner := uint32(0)
	for ; r.at < len(r.code); r.at++ {
		i := r.code[r.at]
		if last && inner == 0 && r.at == r.tailAt() {
			return code, true
		}
		outside := inner + uint32(r.blocks-number-1) // the label of the loop, or else of the outer block
		switch i.op {
		case wasmbin.OpEnd:
			if inner == 0 {
				r.at++
				return code, !last
			}
			inner--
		case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
			inner++
		case wasmbin.OpBrTable:
			for _, label := range i.labels {
				if label >= inner {
					return nil, false
				}
			}
		case wasmbin.OpBr, wasmbin.OpBrIf:
			if i.first < inner {
				break
			}
			if r.loops && i.first == outside {
				n := len(code)
				if i.op != wasmbin.OpBr || n < 2 || code[n-2].op != wasmbin.OpI32Const || !code[n-1].is(wasmbin.OpLocalSet, startsAt) {
					return nil, false
				}
				value := code[n-2].value
				to := r.table[min(uint64(uint32(value)), uint64(len(r.table)-1))]
				code = append(code[:n-2], instruction{op: opJump, first: to, value: value})
				continue
			}
			if r.loops {
				outside++
			}
			if !r.unwinds || i.first != outside {
				return nil, false
			}
			if i.op == wasmbin.OpBr {
				i = instruction{op: opUnwind}
			} else {
				i = instruction{op: opUnwindIf}
			}
		}
		code = append(code, i)
	}
	return nil, false
}

// tailAt is where that begins which every function ends with.
func (r *formReader) tailAt() int {
	if r.unwinds {
		return len(r.code) - 3
	}
	return len(r.code) - 1
}

func (r *formReader) tail() bool {
	return r.at == r.tailAt() && r.take(wasmbin.OpUnreachable) &&
		(!r.unwinds || r.take(wasmbin.OpEnd) && r.code[r.at].op == wasmbin.OpI32Const && r.code[r.at].value == 1)
}

// end appends what every function ends with.
func (o *form) end(out []instruction) []instruction {
	out = append(out, instruction{op: wasmbin.OpUnreachable})
	if o.unwinds {
		out = append(out, instruction{op: wasmbin.OpEnd}, instruction{op: wasmbin.OpI32Const, value: 1})
	}
	return out
}

// resumed reports whether the function may be called to go on behind a call in it. Behind
// each such call stands what leaves it when a goroutine is switched.
func (o *form) resumed() bool {
	for _, code := range o.regions {
		for n, i := range code {
			if i.op == opUnwindIf && (n+1 == len(code) || code[n+1].op != wasmbin.OpUnreachable) {
				return true
			}
		}
	}
	return false
}

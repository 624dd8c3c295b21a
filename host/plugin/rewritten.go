package plugin

import "github.com/waddle-sessions/waddle/host/internal/rewrite"

// Rewritten says what a host changes in a module before it compiles it. Nothing that is
// added can be named or reached by the module.
type Rewritten struct {
	SizeBefore, SizeAfter int // bytes of the module

	Functions int    // defined in the module as it was
	Hook      uint32 // index of the added function that is called when fuel or stack has run out, or 0
	Leaves    int    // functions that their callers pay for
	Charges   int    // places where fuel is charged
	Checks    int    // places where a call may end for lack of fuel or stack
	Lengths   int    // instructions that are charged by length
	Counted   int    // functions that count the stack that they take
	Indirect  int    // indirect calls, around which it is counted, too
	Chain     int64  // bytes of stack that calls between two counted places take at most

	Entry uint32 // index of the added function that calls exports, or 0

	SegmentsBefore, SegmentsAfter int // data segments

	Movable   []uint32 // mutable globals, in order, which with the memory are all that an instance's state is made of
	MaxMemory uint32   // pages that the module declared as the maximum of its memory, or could have at most
	Fixed     string   // why the state cannot be moved to another instance, or ""
}

// Rewriting says what a host changes in a module that [Validate] accepts, for a guest that
// is trusted or not, and whether its state could be moved. Where it is, the module has an export
// more for each of its mutable globals. It does not run or compile the module.
func Rewriting(wasm []byte, trusted bool) (*Rewritten, error) {
	if _, err := Validate(wasm); err != nil {
		return nil, err
	}
	o := (&resolved{Config: Config{Trusted: trusted}}).rewriting()
	_, report, err := rewrite.Module(wasm, o)
	if err != nil {
		return nil, loadError(ErrModule, err, "%v", err)
	}
	if !o.Movable {
		_, moved, err := rewrite.Module(wasm, rewrite.Options{Movable: true})
		if err != nil {
			return nil, loadError(ErrModule, err, "%v", err)
		}
		report.Movable, report.MaxMemory, report.Fixed = moved.Movable, moved.MaxMemory, moved.Fixed
	}
	return (*Rewritten)(report), nil
}

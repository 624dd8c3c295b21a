package inspect

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// Rewriting is what a host changes in the module before it compiles it, for a guest that
// is trusted or not.
type Rewriting struct {
	Trusted bool `json:"trusted"`

	Functions int `json:"functions"` // of the module
	Leaves    int `json:"leaves"`    // functions that their callers pay for
	Charges   int `json:"charges"`   // places where fuel is charged
	Checks    int `json:"checks"`    // places where a call may end for lack of fuel or stack
	Lengths   int `json:"lengths"`   // instructions that are charged by length

	Counted  int   `json:"counted_functions"` // that count the stack that they take
	Indirect int   `json:"counted_indirect_calls"`
	Chain    int64 `json:"uncounted_stack_bytes"` // that calls between two counted places take at most

	SegmentsBefore int `json:"data_segments_before"`
	SegmentsAfter  int `json:"data_segments_after"`
	SizeBefore     int `json:"size_before"`
	SizeAfter      int `json:"size_after"`

	MovableGlobals int    `json:"movable_globals"` // that an instance's state is made of, with its memory
	Fixed          string `json:"fixed,omitempty"` // why its state cannot be moved, so that it shares no executors
}

// rewritings tells both rewritings of a module that nothing was found against, or why a
// host would refuse it all the same.
func rewritings(wasm []byte) (both []Rewriting, err error) {
	for _, trusted := range []bool{false, true} {
		r, err := plugin.Rewriting(wasm, trusted)
		if err != nil {
			return nil, err
		}
		both = append(both, Rewriting{
			Trusted: trusted, Functions: r.Functions, Leaves: r.Leaves, Charges: r.Charges, Checks: r.Checks, Lengths: r.Lengths,
			Counted: r.Counted, Indirect: r.Indirect, Chain: r.Chain,
			SegmentsBefore: r.SegmentsBefore, SegmentsAfter: r.SegmentsAfter, SizeBefore: r.SizeBefore, SizeAfter: r.SizeAfter,
			MovableGlobals: len(r.Movable), Fixed: printable.Clean(r.Fixed),
		})
	}
	return both, nil
}

func (t *text) rewriting(r *Report) {
	if len(r.Rewritings) == 0 {
		return
	}
	t.line("\nWhat a host changes before it compiles the module")
	for i := range r.Rewritings {
		w := &r.Rewritings[i]
		if w.Trusted {
			t.field("trusted", "unmetered: no bound on fuel, time or depth of calls")
		} else {
			t.field("untrusted", "metered: %s of %s charge fuel, and a call may end at %d",
				count(w.Charges, "place"), count(w.Functions, "function"), w.Checks)
			t.field("", "%s that only callers pay for; %s charged by length",
				count(w.Leaves, "function"), count(w.Lengths, "instruction"))
			t.field("", "stack counted in %s and around %s; at most %s between two of these",
				count(w.Counted, "function"), count(w.Indirect, "indirect call"), size(w.Chain))
		}
		t.field("", "%s, size %s", segments(w), became(size(int64(w.SizeBefore)), size(int64(w.SizeAfter))))
	}
	if w := &r.Rewritings[0]; w.Fixed == "" { // the same for both
		t.field("state", "memory and %s: plugins of it can share executors", count(w.MovableGlobals, "global"))
	} else {
		t.field("state", "plugins of it cannot share executors: %s", w.Fixed)
	}
}

func segments(w *Rewriting) string {
	if w.SegmentsBefore == w.SegmentsAfter {
		return count(w.SegmentsBefore, "data segment")
	}
	return fmt.Sprintf("%s joined to %d", count(w.SegmentsBefore, "data segment"), w.SegmentsAfter)
}

func became(before, after string) string {
	if before == after {
		return before
	}
	return before + " becomes " + after
}

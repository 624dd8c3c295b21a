package rewrite

// Report says what a rewrite did.
type Report struct {
	SizeBefore, SizeAfter int // bytes of the module

	Functions int    // defined in the module as it was
	Hook      uint32 // index of the added function that is called when fuel or stack has run out, or 0
	Leaves    int    // functions that their callers pay for
	Charges   int    // places where fuel is charged
	Checks    int    // places where the hook may be called
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

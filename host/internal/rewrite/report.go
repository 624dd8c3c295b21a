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
}

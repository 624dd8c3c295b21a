// Package image keeps memories that hardly differ from one another at the cost of
// what differs.
//
// An [Image] is a copy of a memory that never changes. A [Memory] begins as its
// image and shares each page with it until the page is written to: then the page
// is the memory's own. What a memory has that an image has not can be taken out as
// a delta, and put into another memory of that image.
//
// The kernel does the work, and it is also what knows which pages were written to.
// That takes Linux. [Available] says whether it works in this process.
//
// README.md in this folder says what is promised and how it is done.
package image

import "errors"

// Errors, which come with detail around them.
var (
	// ErrUnavailable is every function's where [Available] returns an error.
	ErrUnavailable = errors.New("memories cannot be mapped from images")

	// ErrSize is a size that is not a multiple of [Granularity], or too large.
	ErrSize = errors.New("a memory has a wrong size")

	// ErrClosed is what is asked of an image after Close, or of a memory after
	// Release.
	ErrClosed = errors.New("an image or memory is closed")

	// ErrDelta is a delta that is damaged, or not of this image, or too large for
	// this memory.
	ErrDelta = errors.New("a delta does not fit")
)

// Granularity is what sizes and limits are multiples of: WebAssembly's page. No
// system has larger pages.
const Granularity = 1 << 16

// MaxSize is the largest size of a memory: all that 32 bits address.
const MaxSize = 1 << 32

const (
	pageSize  = 1 << 12 // what deltas are made of, and the smallest page of a system
	blockSize = 1 << 6  // a page has as many blocks as a mask has bits
)

var zeroPage [pageSize]byte

package preflight

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// reader walks over a part of the module.
//
// There are two ways to refuse a module. Err ends the reading. After refuse it goes on.
type reader struct {
	wasmbin.Walker
	reasons *reasons
}

func newReader(r wasmbin.Reader, found *reasons) reader {
	return reader{wasmbin.NewWalker(r), found}
}

// reasons are the reasons to refuse a module, each once.
type reasons struct {
	all  []error
	seen map[string]bool
}

// maxReasons bounds the list, since a module may have as many faults as bytes.
const maxReasons = 100

func (s *reasons) add(err error) {
	if len(s.all) == maxReasons || s.seen[err.Error()] {
		return
	}
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	s.seen[err.Error()] = true
	s.all = append(s.all, err)
}

// place adds to the reasons from index first on where they were found.
func (s *reasons) place(first int, where string) {
	for i, err := range s.all[first:] {
		s.all[first+i] = fmt.Errorf("%w (%s)", err, where)
	}
}

// refuse records a reason after which reading can go on.
func (r *reader) refuse(err error) {
	if r.Err == nil {
		r.reasons.add(err)
	}
}

// sub returns a reader of the next n bytes.
func (r *reader) sub(n uint32) reader { return newReader(r.Sub(n), r.reasons) }

// count reads the length of a vector whose items take at least one byte each.
func (r *reader) count(what string, limit int) int { return r.counted(what, r.U32(), limit) }

// counted checks and returns a length that has been read.
func (r *reader) counted(what string, n uint32, limit int) int {
	if r.Err == nil && uint64(n) > uint64(limit) {
		r.Err = tooBig(what, int64(n), int64(limit))
	}
	if r.Carries(what, n); r.Err != nil {
		return 0
	}
	return int(n)
}

func (r *reader) name(limit int) string {
	n := r.U32()
	if r.Err == nil && uint64(n) > uint64(limit) {
		r.Err = tooBig("bytes of a name", int64(n), int64(limit))
		return ""
	}
	return r.Text(n)
}

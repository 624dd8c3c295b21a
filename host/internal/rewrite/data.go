package rewrite

import (
	"cmp"
	"slices"

	"github.com/waddle-sessions/waddle/host/internal/wasmbin"
)

// MaxGap is how many bytes may lie between two data segments that are joined. A
// larger gap would save next to nothing, and writing its zeros touches pages that an
// instance may never use.
const MaxGap = 64

// mergeData joins active data segments that lie close together, with zeros between
// them. It changes nothing about the memory that an instance begins with, nor about
// whether it begins: a joined segment reaches beyond the memory if one of its parts
// does.
//
// A module stays as it is where that would not be so, or where it cannot be told:
// segments that overlap, whose order matters then; an imported memory, which may hold
// something in the gaps; offsets that are not constants; several memories; and code
// that refers to segments by number. An invalid module stays invalid.
func mergeData(m *wasmbin.Module, r *Report) error {
	s := m.Section(wasmbin.SectionData)
	if s == nil {
		return nil
	}
	pieces, n, err := piecesOf(s)
	if err != nil {
		return err
	}
	r.SegmentsBefore, r.SegmentsAfter = n, n
	if len(pieces) < 2 {
		return nil
	}
	if own, err := ownMemory(m); err != nil || !own {
		return err
	}
	counted, named, err := segmentsByNumber(m, n)
	if err != nil || named {
		return err
	}
	runs, ok := runsOf(pieces)
	if !ok || len(runs) == n {
		return nil
	}
	s.Content = appendRuns(nil, runs)
	if counted {
		m.Set(wasmbin.SectionDataCount, wasmbin.AppendU32(nil, uint32(len(runs))))
	}
	r.SegmentsAfter = len(runs)
	dropDataNames(m)
	return nil
}

// ownMemory reports whether the module has one memory and defines it itself.
func ownMemory(m *wasmbin.Module) (bool, error) {
	imports, err := wasmbin.Items(m, wasmbin.SectionImport, (*wasmbin.Reader).Import)
	if err != nil || slices.ContainsFunc(imports, func(i wasmbin.Import) bool { return i.Kind == wasmbin.KindMemory }) {
		return false, err
	}
	memories, err := wasmbin.Items(m, wasmbin.SectionMemory, (*wasmbin.Reader).Memory)
	return err == nil && len(memories) == 1, err
}

// segmentsByNumber reports whether the segments are counted in advance, without which
// no code can refer to them, and whether any does, or the count is wrong.
func segmentsByNumber(m *wasmbin.Module, segments int) (counted, named bool, err error) {
	s := m.Section(wasmbin.SectionDataCount)
	if s == nil {
		return false, false, nil
	}
	count := s.Reader()
	n := count.U32()
	if count.End(); count.Err != nil {
		return false, false, count.Err
	}
	if uint64(n) != uint64(segments) {
		return true, true, nil
	}
	bodies, err := wasmbin.Items(m, wasmbin.SectionCode, (*wasmbin.Reader).Body)
	for i := 0; i < len(bodies) && err == nil && !named; i++ {
		named, err = namesSegments(bodies[i])
	}
	return true, named, err
}

// namesSegments reports whether a function refers to data segments by number.
func namesSegments(body wasmbin.Body) (bool, error) {
	w := wasmbin.NewWalker(wasmbin.NewReader(body, 0))
	for n := w.Count("groups of locals"); n > 0 && w.Err == nil; n-- {
		w.Locals()
	}
	for w.Begin(); w.Next(); {
		switch w.Op.Layout() {
		case wasmbin.LayoutDataSegment, wasmbin.LayoutDataAndMemory:
			return true, nil
		}
	}
	return false, w.Err
}

// piece is a segment with its address.
type piece struct {
	at    uint64
	bytes []byte
}

func (p piece) end() uint64 { return p.at + uint64(len(p.bytes)) }

// piecesOf returns the segments of a section in the order of their addresses, and how
// many there are. It returns no pieces unless all are active, in the first memory, at
// constant addresses.
func piecesOf(s *wasmbin.Section) (pieces []piece, n int, err error) {
	r := s.Reader()
	n = r.Count("data segments")
	pieces = make([]piece, 0, n)
	for i := 0; i < n && r.Err == nil; i++ {
		d := r.Data()
		if at, ok := constant(d.Offset); ok && d.Memory == 0 {
			pieces = append(pieces, piece{uint64(at), d.Bytes})
		}
	}
	if r.End(); r.Err != nil {
		return nil, 0, r.Err
	}
	if len(pieces) < n {
		return nil, n, nil
	}
	// Linkers write them in this order, as a rule.
	byAddress := func(a, b piece) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(len(a.bytes), len(b.bytes))) }
	if !slices.IsSortedFunc(pieces, byAddress) {
		slices.SortFunc(pieces, byAddress)
	}
	return pieces, n, nil
}

// constant returns the value of an expression that is nothing but an i32 constant.
func constant(e wasmbin.Expression) (uint32, bool) {
	r := wasmbin.NewReader(e, 0)
	if wasmbin.Opcode(r.Byte()) != wasmbin.OpI32Const {
		return 0, false
	}
	value := uint32(r.Signed(32))
	return value, wasmbin.Opcode(r.Byte()) == wasmbin.OpEnd && r.Err == nil
}

// run is some pieces that become one segment, in their order.
type run struct {
	pieces []piece
	end    uint64
}

func (r *run) start() uint64 { return r.pieces[0].at }

// runsOf divides pieces into runs. It fails if two overlap.
func runsOf(pieces []piece) (runs []run, ok bool) {
	for i, p := range pieces {
		if len(runs) > 0 {
			last := &runs[len(runs)-1]
			if len(p.bytes) > 0 && p.at < last.end {
				return nil, false
			}
			if p.at <= last.end+MaxGap {
				last.pieces = last.pieces[:len(last.pieces)+1]
				last.end = max(last.end, p.end())
				continue
			}
		}
		runs = append(runs, run{pieces[i : i+1 : len(pieces)], p.end()})
	}
	return runs, true
}

// appendRuns appends the content of a data section.
func appendRuns(b []byte, runs []run) []byte {
	size := 0
	for _, r := range runs {
		size += 16 + int(r.end-r.start())
	}
	b = wasmbin.AppendU32(slices.Grow(b, size), uint32(len(runs)))
	for _, r := range runs {
		var offset wasmbin.Code
		offset.I32(int32(uint32(r.start())))
		b = wasmbin.AppendU32(b, wasmbin.DataActive)
		b = append(b, offset.Expression()...)
		b = wasmbin.AppendU32(b, uint32(r.end-r.start()))
		at := r.start()
		for _, p := range r.pieces {
			if p.at > at {
				b = append(b, zeros[:p.at-at]...)
			}
			b = append(b, p.bytes...)
			at = max(at, p.end())
		}
	}
	return b
}

var zeros [MaxGap]byte

// dropDataNames removes the names of data segments, which are given by number.
func dropDataNames(m *wasmbin.Module) {
	s, r := m.Custom("name")
	if s == nil {
		return
	}
	out := wasmbin.AppendBytes(nil, "name")
	dropped := false
	for r.More() {
		id, content := r.Subsection()
		if id == wasmbin.NamesData {
			dropped = true
			continue
		}
		out = wasmbin.Subsection{ID: id, Content: content.Rest()}.Append(out)
	}
	if dropped && r.Err == nil {
		s.Content = out
	}
}

package main

import "encoding/binary"

// pages keeps the keys that a server has named and a chunk had no room for: the server
// names many at once and cannot be asked for the rest of them. The cursor that leads to
// them is their number. Each chunk keeps its own, so enumerations do not get into each
// other's way, and a chunk may be asked for twice. Only the last ones are kept.
type pages struct {
	given int64
	kept  [mostKept]page
}

const mostKept = 64

type page struct {
	number int64
	keys   []byte
	next   int64 // the cursor behind them
}

// leastPlace is the least place in an enumeration that is no number of kept keys.
const leastPlace = 1 << 46

// keep remembers keys and returns their cursor.
func (p *pages) keep(keys []byte, next int64) int64 {
	p.given++
	p.kept[p.given%mostKept] = page{p.given, append([]byte(nil), keys...), next}
	return p.given
}

// find returns what a cursor leads to, or nil.
func (p *pages) find(at int64) *page {
	if kept := &p.kept[at%mostKept]; kept.number == at {
		return kept
	}
	return nil
}

func appendKey(list, key []byte) []byte {
	return append(binary.LittleEndian.AppendUint16(list, uint16(len(key))), key...)
}

func cutKey(list []byte) (key, rest []byte) {
	n := int(binary.LittleEndian.Uint16(list)) + 2
	return list[2:n:n], list[n:]
}

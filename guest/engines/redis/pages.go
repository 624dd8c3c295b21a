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
	number     int64
	generation uint8
	keys       []byte
	next       int64 // the cursor behind them
}

// keep remembers keys and returns their cursor.
func (p *pages) keep(keys []byte, generation uint8, next int64) int64 {
	p.given++
	p.kept[p.given%mostKept] = page{p.given, generation, append([]byte(nil), keys...), next}
	return keptBit | p.given
}

// find returns what a cursor leads to, or nil.
func (p *pages) find(at int64) *page {
	number := at &^ keptBit
	if kept := &p.kept[number%mostKept]; number > 0 && kept.number == number {
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

package main

import (
	"encoding/binary"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
)

// A record is what lies under a key of the server:
//
//	8  expires, in milliseconds since 1970, 0 for never
//	8  a random number of the write that stored it
//	   the value, which begins with its revision
//
// All numbers are little-endian. The scripts read the same form.
const (
	headerSize = 16
	maxRecord  = headerSize + abi.MaxValue
)

// slack is how much longer than a record the server keeps it, in milliseconds. The
// record's own expiry decides when it is gone, by the clock of the host that asks; the
// server's only frees the memory, and must not do so earlier for any host.
const slack = 60_000

// farthest is the time from which on the server is told no expiry.
const farthest = 1 << 50

// timeToLive is the server's expiry of a record, in milliseconds from now; 0 for none.
func timeToLive(expires, now int64) int64 {
	if expires == 0 {
		return 0
	}
	ttl := expires - now
	if ttl < 0 || ttl > farthest { // less than 0: it overflows, since the record has not expired
		return 0
	}
	return ttl + slack
}

func putHeader(b *[headerSize]byte, expires int64, nonce uint64) {
	binary.LittleEndian.PutUint64(b[:], uint64(expires))
	binary.LittleEndian.PutUint64(b[8:], nonce)
}

// open returns the value and the expiry of a record. It is ErrNotFound if there is none
// or it has expired, and ErrCorrupt if nobody like this engine wrote it.
func open(record []byte, now int64) (value []byte, expires int64, err error) {
	switch {
	case len(record) == 0:
		return nil, 0, guest.ErrNotFound
	case len(record) < headerSize, len(record) > maxRecord:
		return nil, 0, errNotRecord
	}
	expires = int64(binary.LittleEndian.Uint64(record))
	if guest.Expired(expires, now) {
		return nil, 0, guest.ErrNotFound
	}
	return record[headerSize:], expires, nil
}

var errNotRecord = guest.Fail(guest.ErrCorrupt, "what lies under the key was not written by this engine")

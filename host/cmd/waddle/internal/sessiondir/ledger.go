package sessiondir

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// ledger remembers records, to compare what was written with what should have been. It
// takes about sixty bytes for each.
type ledger map[[16]byte]entry

type entry struct {
	sum     uint64 // of value and expiry
	expires store.Millis
}

func keySum(key []byte) [16]byte {
	sum := sha256.Sum256(key)
	return [16]byte(sum[:16])
}

func entryOf(r store.Record) entry {
	h := sha256.New()
	var expires [8]byte
	binary.LittleEndian.PutUint64(expires[:], uint64(r.Expires))
	h.Write(expires[:])
	h.Write(r.Value)
	return entry{binary.LittleEndian.Uint64(h.Sum(nil)), r.Expires}
}

// add reports whether the key is new.
func (l ledger) add(r store.Record) bool {
	sum := keySum(r.Key)
	_, twice := l[sum]
	l[sum] = entryOf(r)
	return !twice
}

// cross takes out a record that was found again, or says what is wrong with it.
func (l ledger) cross(r store.Record) error {
	sum := keySum(r.Key)
	want, ok := l[sum]
	switch {
	case !ok:
		return fmt.Errorf("a record is there that was never written")
	case want != entryOf(r):
		return fmt.Errorf("a record is another than was written")
	}
	delete(l, sum)
	return nil
}

// missing returns how many records were not found again, without those that have expired.
func (l ledger) missing(now store.Millis) (n int) {
	for _, e := range l {
		if e.expires == 0 || e.expires > now {
			n++
		}
	}
	return n
}

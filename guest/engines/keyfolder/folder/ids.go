package folder

import "github.com/waddle-sessions/waddle/guest/engines/internal/xxhash"

// ids remembers the names of folders that were made lately: in WebAssembly a SHA-256 takes
// longer than the rest of what a read computes. Only keys of idKeySize bytes are
// remembered, which those of sessions have.
type ids struct {
	slots []idSlot // as many as Options.Remembered
}

type idSlot struct {
	used bool
	key  [idKeySize]byte
	id   id
}

const idKeySize = 32

// of is idOf.
func (r *ids) of(key []byte) id {
	if len(key) != idKeySize {
		return idOf(key)
	}
	slot := &r.slots[xxhash.Sum(0, key)%uint64(len(r.slots))]
	if !slot.used || string(slot.key[:]) != string(key) {
		*slot = idSlot{used: true, key: [idKeySize]byte(key), id: idOf(key)}
	}
	return slot.id
}

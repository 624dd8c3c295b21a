package session

import (
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Seal returns a store that seals the values that it keeps in s, for programs that use
// a store without a [Manager]; a Manager seals by Settings.Keyring. s then sees keys,
// revisions, expiries and sizes, and nothing else of a value. A value must have its
// revision, as [store.Write] says, and is returned only under the key and the revision
// with which it was stored. A value that was changed, that none of the keys opens, or
// that is not sealed is [ErrDecode].
//
// Until readUnsealedUntil values that are not sealed are read as well, so that
// sealing can begin over a store that is in use; the zero time accepts none. A sealed
// value is 49 bytes longer. Snapshots have the sealed values.
func (k *Keyring) Seal(s store.Store, readUnsealedUntil time.Time) store.Store {
	settings := Settings{Keyring: k, ReadUnsealedUntil: readUnsealedUntil}.WithDefaults()
	return newSealedStore(s, &settings)
}

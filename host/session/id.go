package session

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
)

const (
	idBytes = 32 // 256 random bits
	idChars = 43 // of base64url without padding
)

// idEncoding refuses an id whose last character has bits that belong to no byte,
// so that each id has one spelling.
var idEncoding = base64.RawURLEncoding.Strict()

// newID makes an id of fresh random bits.
func newID(random io.Reader) (string, error) {
	var bits [idBytes]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("session: no random bits for an id: %w", err)
	}
	return idEncoding.EncodeToString(bits[:]), nil
}

// validID reports whether this host could have issued the id. A table of what may be
// where takes a third of the time of decoding it.
func validID(id string) bool {
	if len(id) != idChars {
		return false
	}
	all := byte(inID)
	for i := range idChars {
		all &= idSymbols[id[i]]
	}
	return all != 0 && idSymbols[id[idChars-1]]&endsID != 0
}

// idSymbols says of each byte what it may be in an id. The last of 43 characters holds
// four bits, so that two of its six are 0.
var idSymbols = func() (symbols [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range len(alphabet) {
		symbols[alphabet[i]] = inID
		if i%4 == 0 {
			symbols[alphabet[i]] |= endsID
		}
	}
	return symbols
}()

const (
	inID = 1 << iota
	endsID
)

// storageKey is all that a store learns of an id: a stolen or hostile store
// cannot make a cookie from it.
type storageKey [sha256.Size]byte

// The domains keep hashes for one purpose from being taken for hashes for
// another. A namespace contains no NUL, so a NUL ends it.
const (
	sessionDomain = "waddle session 2\x00"
	listDomain    = "waddle user index 2\x00"
)

// keyOf returns the key of a valid id with this manager. A manager of another
// namespace finds nothing under it.
func (m *Manager) keyOf(id string) storageKey {
	// On the stack; a conversion of id would not be.
	var text [len(sessionDomain) + MaxNamespace + 1 + idChars]byte
	n := copy(text[:], sessionDomain)
	n += copy(text[n:], m.namespace)
	n += 1 + copy(text[n+1:], id)
	return sha256.Sum256(text[:n])
}

// label is a name for logs: enough to tell sessions apart, too little to
// look one up.
func (k storageKey) label() string { return hex.EncodeToString(k[:6]) }

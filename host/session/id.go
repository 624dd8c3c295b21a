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

// idEncoding refuses an id whose last character has bits set that belong to
// no byte, so that each id has one spelling.
var idEncoding = base64.RawURLEncoding.Strict()

// newID makes an id of fresh random bits.
func newID(random io.Reader) (string, error) {
	var bits [idBytes]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("session: no random bits for an id: %w", err)
	}
	return idEncoding.EncodeToString(bits[:]), nil
}

// validID reports whether this host could have issued the id.
func validID(id string) bool {
	if len(id) != idChars {
		return false
	}
	var text [idChars]byte
	var bits [idBytes]byte
	copy(text[:], id)
	n, err := idEncoding.Decode(bits[:], text[:])
	return err == nil && n == idBytes
}

// storageKey is all that a store learns of an id: a store that is stolen or
// hostile cannot make a cookie from it.
type storageKey [sha256.Size]byte

// keyOf takes a valid id.
func keyOf(id string) storageKey {
	var text [idChars]byte // on the stack, where a conversion of id would not be
	copy(text[:], id)
	return sha256.Sum256(text[:])
}

// label is a name for logs: enough to tell sessions apart, too little to
// look one up.
func (k storageKey) label() string { return hex.EncodeToString(k[:6]) }

package session_test

import "crypto/sha256"

// storageKeyOf is what the store is to see of an id, by the documentation and
// not by the code under test.
func storageKeyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return string(sum[:])
}

package session_test

import "crypto/sha256"

// storageKeyOf is the key that the store should see for an id with the default
// settings, computed from the documentation and not by the code under test.
func storageKeyOf(id string) string { return storageKeyIn("session_id", id) }

func storageKeyIn(namespace, id string) string {
	sum := sha256.Sum256([]byte("waddle session 2\x00" + namespace + "\x00" + id))
	return string(sum[:])
}

// listKeyOf is the key of a user's list with the default settings.
func listKeyOf(user string) []byte {
	sum := sha256.Sum256([]byte("waddle user index 2\x00session_id\x00" + user))
	return sum[:]
}

// Package namespace names the stores that checks open, so that those over one backend
// keep apart.
package namespace

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// secret makes the names of two processes differ, which may use one backend.
var secret = sync.OnceValue(rand.Text)

// Of returns the namespace of a store with a directory: always the same one in a process.
// All have one length, so that none begins with another.
func Of(dir string) string {
	sum := sha256.Sum256([]byte(secret() + dir))
	return "n" + hex.EncodeToString(sum[:8])
}

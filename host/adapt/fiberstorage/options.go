package fiberstorage

import (
	"bytes"
	"crypto/sha256"
	"time"
)

// Option changes what New does.
type Option func(*Storage)

// DefaultTimeout is how long a call waits for the store unless [Timeout] says
// otherwise.
const DefaultTimeout = 10 * time.Second

// Namespace names the records of a storage, by default "fiber". Storages with different
// namespaces share a store and do not see each other, nor do sessions of this project in
// the same store. Programs that share records need the same one.
func Namespace(name string) Option {
	if name == "" {
		panic(`fiberstorage: Namespace is "": must name what is stored, such as "sessions"`)
	}
	space := spaceOf(name)
	return func(s *Storage) { s.space = space }
}

// Exclusive says that the store has no records but this storage's. Reset then clears
// the store at once, which works for stores that cannot enumerate their keys, too.
func Exclusive() Option { return func(s *Storage) { s.exclusive = true } }

// Timeout bounds how long a call waits for the store; 0 stands for no bound but that of
// its context. Reset is bounded in each of its steps.
func Timeout(d time.Duration) Option { return func(s *Storage) { s.timeout = d } }

// Clock sets the clock by which records expire. It is for tests.
func Clock(now func() time.Time) Option { return func(s *Storage) { s.now = now } }

// namespace is the beginning of the keys of a storage.
type namespace [16]byte

// storeKey is a key in a store. It is longer than those of sessions, so none is equal to
// one of these.
type storeKey [len(namespace{}) + sha256.Size]byte

func spaceOf(name string) (n namespace) {
	sum := sha256.Sum256([]byte("waddle fiber storage 1\x00" + name))
	copy(n[:], sum[:])
	return n
}

// key returns the key in the store. The name that fiber gives a record is often a secret,
// such as the id of a session, so the store sees only its hash.
func (n *namespace) key(of string) (k storeKey) {
	copy(k[:], n[:])
	var room [128]byte
	sum := sha256.Sum256(append(append(room[:0], n[:]...), of...))
	copy(k[len(n):], sum[:])
	return k
}

// has reports whether a key of the store is one of the namespace.
func (n *namespace) has(key []byte) bool {
	return len(key) == len(storeKey{}) && bytes.HasPrefix(key, n[:])
}

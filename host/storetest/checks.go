package storetest

import "encoding/binary"

// groups returns all checks, by group, in the order in which they run: a group
// comes after those that it builds on.
func groups() [][]Test {
	return [][]Test{
		lifeTests(), getTests(), setTests(), keyTests(), limitTests(), deleteTests(), clearTests(), saveTests(),
		expiryTests(), expectTests(), touchTests(), sweepTests(), listTests(), snapshotTests(), restoreTests(),
		reopenTests(), savedTests(), concurrentTests(), growthTests(), spaceTests(), pageTests(), betweenTests(), farTests(),
		randomTests(), sharedTests(),
	}
}

// The sections of abi/SPEC.md that checks are about.
const (
	secMemory    = "3. Memory and ownership"
	secResults   = "4. Results and codes"
	secTime      = "5. Time"
	secRevisions = "6. Revisions and `expect`"
	secRequired  = "7. Required exports"
	secOptional  = "8. Optional exports"
	secLimits    = "11. Limits"
	secShards    = "12. Shards and files"
	secLife      = "2. Life of an instance"
)

// value makes a value with a revision.
func value(revision uint64, body string) []byte {
	b := make([]byte, 8, 8+len(body))
	binary.LittleEndian.PutUint64(b, revision)
	return append(b, body...)
}

// Value makes a value with a revision and that many bytes in all, of which the
// first eight are the revision. No two are alike, and no part of one is found in
// another.
func Value(revision uint64, size int) []byte { return filled(revision, size) }

func filled(revision uint64, size int) []byte {
	b := make([]byte, (size+7)/8*8)
	x := revision*0x9e3779b97f4a7c15 + uint64(size) + 1
	for i := 0; i < len(b); i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(b[i:], x)
	}
	if size >= 8 {
		binary.LittleEndian.PutUint64(b, revision)
	}
	return b[:size:size]
}

func k(key string) []byte { return []byte(key) }

package guest

// Random fills b with random bytes, which nobody can predict and no other instance has:
// not even a copy of this one. It is for secrets and for names that must be unique.
//
// A host may copy an instance before [Engine].Open is called. All copies then have
// what was drawn in package variables and init functions, and the state that Go's
// runtime has drawn for itself: they get the same sequence from the functions of
// math/rand and math/rand/v2, the same seeds from hash/maphash, and go through equal maps
// in the same order. So call Random in Open or later. crypto/rand does the same and
// makes a module half a mebibyte larger.
func Random(b []byte) {
	if len(b) > 0 {
		hostRandom(b)
	}
}

// RandomUint64 returns a number of [Random].
func RandomUint64() uint64 {
	var b [8]byte
	Random(b[:])
	n := uint64(0)
	for i, x := range b {
		n |= uint64(x) << (8 * i)
	}
	return n
}

package storetest

// oneHash returns families of 64 keys, all of one length within a family, for
// which well-known 32-bit hash functions are equal. A guest that indexes by such
// a hash, or by a part of it, has them all in one place. A test computes the
// hashes.
func oneHash() map[string][][]byte {
	families := make(map[string][][]byte)
	for hash, pairs := range hashBlocks {
		families[hash] = combined(pairs)
	}
	// A CRC does not notice a difference that is a multiple of its polynomial.
	var multiple [5]byte
	const polynomial = 0x104c11db7
	for bit := range 33 {
		if polynomial>>(32-bit)&1 != 0 {
			multiple[bit/8] |= 1 << (bit % 8)
		}
	}
	const block = "crc32"
	other := []byte(block)
	for i := range other {
		other[i] ^= multiple[i]
	}
	var pairs [6][2]string
	for i := range pairs {
		pairs[i] = [2]string{block, string(other)}
	}
	families["crc-32"] = combined(pairs)
	return families
}

// hashBlocks are pairs of blocks with one hash, each after those before it,
// whichever of the two blocks those were.
var hashBlocks = map[string][6][2]string{
	"fnv-1a": {{"aJe2dX", "n66YeD"}, {"BVqkSf", "zf0cvZ"}, {"K004nH", "wX1ShJ"}, {"eTmO71", "hsGXjK"}, {"EV2PEG", "a6KE1E"}, {"xJrjuy", "ZyNa1K"}},
	"fnv-1":  {{"jvv9B8", "G7Is8o"}, {"9Ahcz5", "Sp6LPm"}, {"PyMpx7", "Odk6Mh"}, {"hrnVKV", "swN5Zb"}, {"HyJgNI", "laXV9S"}, {"r6CRHd", "BlSkWn"}},
	// Those below are equal in 64 bits, whatever the hash begins with.
	"times 31": {{"Aa", "BB"}, {"Aa", "BB"}, {"Aa", "BB"}, {"Aa", "BB"}, {"Aa", "BB"}, {"Aa", "BB"}},
	"djb2":     {{"ab", "bA"}, {"ab", "bA"}, {"ab", "bA"}, {"ab", "bA"}, {"ab", "bA"}, {"ab", "bA"}},
	"sum":      {{"ab", "ba"}, {"ab", "ba"}, {"ab", "ba"}, {"ab", "ba"}, {"ab", "ba"}, {"ab", "ba"}},
}

// combined returns all keys that have one block of each pair.
func combined(pairs [6][2]string) (keys [][]byte) {
	for choice := range 1 << len(pairs) {
		var key []byte
		for i, pair := range pairs {
			key = append(key, pair[choice>>i&1]...)
		}
		keys = append(keys, key)
	}
	return keys
}

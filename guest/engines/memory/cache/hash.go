package cache

import "github.com/waddle-sessions/waddle/guest"

// hasher is a universal hash: someone who does not know its random numbers
// cannot choose keys that crowd into one bucket. It consists of NH (Black et
// al., UMAC, 1999), which takes one multiplication for eight bytes and so costs
// little where there is no 128-bit multiplication, and a multiplicative hash of
// the sum.
type hasher struct {
	words        [1024/8 + 2]uint64
	factor, term uint64
}

func (h *hasher) init() {
	var secret [8 * (len(h.words) + 2)]byte
	guest.Random(secret[:]) // at once, since each call leaves the module
	for i := range h.words {
		h.words[i] = wordAt(secret[:], i)
	}
	h.factor, h.term = wordAt(secret[:], len(h.words))|1, wordAt(secret[:], len(h.words)+1)
}

// sum returns 32 bits for a key of at most 1024 bytes.
func (h *hasher) sum(key []byte) uint32 {
	sum := product(uint64(len(key)), h.words[0])
	whole := len(key) / 8
	words := h.words[1:][:whole+1]
	for i := range whole {
		sum += product(wordAt(key, i), words[i])
	}
	if rest := key[whole*8:]; len(rest) > 0 {
		var word uint64
		for i, b := range rest {
			word |= uint64(b) << (8 * i)
		}
		sum += product(word, words[whole])
	}
	return h.spread(sum)
}

// sessionKey is the length of the keys that sessions have.
const sessionKey = 32

// spread makes 32 bits of a sum. It multiplies twice and folds the halves in between:
// otherwise keys that count up would fall into the buckets in steps.
func (h *hasher) spread(sum uint64) uint32 {
	sum = (sum + h.term) * h.factor
	sum = (sum ^ sum>>32) * h.factor
	return uint32(sum >> 32)
}

func product(word, secret uint64) uint64 {
	return uint64(uint32(word)+uint32(secret)) * uint64(uint32(word>>32)+uint32(secret>>32))
}

// same compares keys of 32 bytes.
func same(a, b *[4]uint64) bool {
	return (a[0]^b[0])|(a[1]^b[1])|(a[2]^b[2])|(a[3]^b[3]) == 0
}

// equal compares keys of one length. On WebAssembly the runtime's own comparison
// takes as long as all the rest of a read.
func equal(a, b []byte) bool {
	whole := len(a) / 8
	for i := range whole {
		if wordAt(a, i) != wordAt(b, i) {
			return false
		}
	}
	for i := whole * 8; i < len(a); i++ {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

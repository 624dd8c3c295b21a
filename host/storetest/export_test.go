package storetest

// Pair is one of hashPairs.
type Pair struct{ Hash, A, B string }

// HashPairs returns the pairs of keys that collide.
func HashPairs() (out []Pair) {
	for _, p := range hashPairs {
		out = append(out, Pair{p.hash, p.a, p.b})
	}
	return out
}

// Shrink is shrink.
func Shrink[T any](items []T, simpler func(T) []T, fails func([]T) bool, trials int) []T {
	return shrink(items, simpler, fails, trials)
}

// OneHash is oneHash.
func OneHash() map[string][][]byte { return oneHash() }

package linearhash_test

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"
)

// words is a set.
type words struct {
	seed    maphash.Seed
	table   linearhash.Table
	buckets [][]string
	count   uint32
}

func (w *words) bucket(text string) uint32 {
	return w.table.Bucket(uint32(maphash.String(w.seed, text)))
}

func (w *words) add(text string) {
	b := w.bucket(text)
	if slices.Contains(w.buckets[b], text) {
		return
	}
	w.buckets[b] = append(w.buckets[b], text)
	if w.count++; w.table.Buckets() < w.count {
		w.split()
	}
}

func (w *words) split() {
	parent, _ := w.table.Grow()
	w.buckets = append(w.buckets, nil)
	all := w.buckets[parent]
	w.buckets[parent] = nil
	for _, text := range all {
		b := w.bucket(text) // parent or the new one
		w.buckets[b] = append(w.buckets[b], text)
	}
}

func Example() {
	w := &words{seed: maphash.MakeSeed(), buckets: make([][]string, 1)}
	for _, text := range []string{"duck", "goose", "duck", "swan", "duck"} {
		w.add(text)
	}
	fmt.Println(w.count, "words in", w.table.Buckets(), "buckets")
	// Output: 3 words in 3 buckets
}

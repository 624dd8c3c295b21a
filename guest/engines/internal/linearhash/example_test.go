package linearhash_test

import (
	"fmt"
	"hash/maphash"

	"github.com/waddle-sessions/waddle/guest/engines/internal/linearhash"
)

// words is a set that keeps all of itself in two slices.
type words struct {
	seed  maphash.Seed
	table linearhash.Table
	heads []uint32
	slots []word
}

type word struct {
	text string
	hash uint32
	next uint32
}

func (w *words) Head(bucket uint32) *uint32 { return &w.heads[bucket] }

func (w *words) Slot(id uint32) (hash uint32, next *uint32) {
	return w.slots[id].hash, &w.slots[id].next
}

func (w *words) add(text string) {
	hash := uint32(maphash.String(w.seed, text))
	head := w.Head(w.table.Bucket(hash))
	for id := *head; id != linearhash.End; id = w.slots[id].next {
		if w.slots[id].text == text {
			return
		}
	}
	w.slots = append(w.slots, word{text, hash, *head})
	*head = uint32(len(w.slots) - 1)
	if w.table.Buckets() < uint32(len(w.slots)) {
		w.heads = append(w.heads, linearhash.End)
		w.table.Split(w)
	}
}

func Example() {
	w := &words{seed: maphash.MakeSeed(), heads: []uint32{linearhash.End}}
	for _, text := range []string{"duck", "goose", "duck", "swan", "duck"} {
		w.add(text)
	}
	fmt.Println(len(w.slots), "words in", w.table.Buckets(), "buckets")
	// Output: 3 words in 3 buckets
}

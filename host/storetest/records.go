package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/waddle-sessions/waddle/host/store"
)

// unusual is how many records of variety are not numbered.
const unusual = 12

// expireInTurn requires each record until it expires, in the order of their
// expiries: time does not go back, since a store may remove expired records
// whenever it is called.
func (s *Subject) expireInTurn(want map[string]store.Record) {
	all := slices.SortedFunc(maps.Values(want), func(a, b store.Record) int {
		// Records that never expire come last; ties are always in the same order.
		return cmp.Or(cmp.Compare(uint64(a.Expires-1), uint64(b.Expires-1)), bytes.Compare(a.Key, b.Key))
	})
	for i, r := range all {
		switch {
		case r.Expires == 0:
			s.Get(r.Key, Now+1<<41, r.Value)
			continue
		case i == 0 || all[i-1].Expires != r.Expires:
			for _, same := range all[i:] {
				if same.Expires != r.Expires {
					break
				}
				s.Get(same.Key, r.Expires-1, same.Value)
			}
		}
		s.Absent(r.Key, r.Expires)
	}
}

// records makes a sequence of the kind that Restore takes.
func records(list ...store.Record) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// variety stores records of many kinds and returns them: 200 under numbered keys,
// and some of unusual sizes, or fewer if the store holds fewer.
func variety(s *Subject) map[string]store.Record {
	out := make(map[string]store.Record)
	n := s.probe.RecordsIn(s.setup, 200+unusual, LeastRecords)
	add := func(key, value []byte, expires store.Millis) {
		s.Set(store.Write{Key: key, Value: value, Expires: expires, Now: Now})
		out[string(key)] = store.Record{Key: key, Value: value, Expires: expires}
	}
	for i, size := range []int{0, 1, 7, 8, 9, 100, 4095, 4096} {
		add(fmt.Appendf(nil, "size %d", size), filled(uint64(i+1), size), store.Millis(i%3)*(Now+1000))
	}
	add(filled(5, s.probe.Options().MaxKey), value(1, "the largest key"), Now+5)
	add(k("large"), filled(6, s.probe.ValueSize(200_000)), Now+1<<40)
	add(k("\x00"), value(1<<64-2, "\x00"), Now+1)
	add(k("a\x00b"), value(2, "x"), 0)
	for i := range n - unusual {
		add(fmt.Appendf(nil, "key %d", i), filled(uint64(i+1), 8+i), store.Millis(i%2)*(Now+store.Millis(i)+1))
	}
	return out
}

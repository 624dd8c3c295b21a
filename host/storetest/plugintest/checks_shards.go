package plugintest

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// shardsTests are about files that were written with one number of shards and are
// opened with another.
func (h *harness) shardsTests() []storetest.Test {
	return []storetest.Test{
		{Name: "shard/other-number", Section: secShards,
			Requires: "with another number of shards a guest finds each of its records, or is refused with a message: none is lost in silence",
			Run: func(p *storetest.Probe) {
				h.needsOpen(p)
				if !h.mounted {
					p.Skip("the guest keeps no files")
				}
				for _, turn := range [][2]int{{2, 4}, {4, 1}, {1, 2}} {
					h.otherNumber(p, turn[0], turn[1])
				}
			}},
	}
}

// shardRecords are the records that the checks of shards store: of many sizes,
// half of them with an expiry.
type shardRecords map[string]store.Record

func (r shardRecords) set(s *storetest.Subject, key []byte, revision uint64) {
	w := store.Write{Key: key, Value: storetest.Value(revision, 8+int(revision*37%900)), Expires: store.Millis(revision%2) * (storetest.Now + 1000), Now: storetest.Now}
	if s.TrySet(w) != nil {
		return // which is not about shards; what is not stored is not looked for
	}
	r[string(key)] = store.Record{Key: key, Value: w.Value, Expires: w.Expires}
}

// settle forgets the records that the guest has dropped to make room, which a
// cache may do.
func (r shardRecords) settle(s *storetest.Subject, keys [][]byte) {
	for _, key := range keys {
		if _, err := s.TryGet(key, storetest.Now); errors.Is(err, store.ErrNotFound) {
			delete(r, string(key))
		}
	}
}

// held requires exactly these records, out of all keys ever used.
func (r shardRecords) held(p *storetest.Probe, s *storetest.Subject, keys [][]byte) {
	const now = storetest.Now
	var there [][]byte
	for _, key := range keys {
		if record, ok := r[string(key)]; ok {
			s.Get(key, now+999, record.Value)
			there = append(there, key)
		} else {
			s.Absent(key, now)
		}
	}
	if enumerates(p, s) {
		s.HasExactly(s.Keys(now, nil), there...)
	}
	if givesSnapshots(p, s) {
		s.HasRecords(s.Snapshot(now, nil), r)
	}
}

// otherNumber writes with one number of shards and opens with another.
func (h *harness) otherNumber(p *storetest.Probe, from, to int) {
	const n, least = 60, 20
	keys := make([][]byte, n+20)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key %d of a session", i)
	}
	want := shardRecords{}
	s := p.Open(storetest.Setup{Shards: from})
	for i, key := range keys[:n] {
		want.set(s, key, uint64(i+1))
	}
	for i := 0; i < n; i += 9 {
		s.Delete(keys[i], storetest.Now)
		delete(want, string(keys[i]))
	}
	if want.settle(s, keys); len(want) < least {
		p.Skip(fmt.Sprintf("the guest keeps %d of %d small records", len(want), n))
	}
	first := s.Setup()
	s.Close()

	second := first
	second.Shards = to
	s, err := p.TryOpen(second)
	if err != nil {
		h.refusesShards(p, err)
		s = p.Open(first)
		want.held(p, s, keys)
		s.Close()
		return
	}
	want.held(p, s, keys)
	crashed := p.Crashed(s)
	want.held(p, crashed, keys)
	for i, key := range keys {
		switch i % 4 {
		case 0:
			want.set(s, key, uint64(i+1000))
		case 1:
			s.Delete(key, storetest.Now)
			delete(want, string(key))
		}
	}
	want.settle(s, keys)
	s.Close()
	// And back, where files from before may still lie about.
	if s, err = p.TryOpen(first); err != nil {
		h.refusesShards(p, err)
		s = p.Open(second)
	}
	want.held(p, s, keys)
	s.Close()
}

// refusesShards requires that the number of shards is refused, and that a refusal
// by the guest itself says why.
func (h *harness) refusesShards(p *storetest.Probe, err error) {
	const expected = "the records, or INVALID with a message that says for how many shards the files are"
	if !errors.Is(err, plugin.ErrShards) {
		p.Fail(err.Error(), expected)
	}
	var answer *plugin.Error
	if errors.As(err, &answer) && answer.Message == "" {
		p.Fail("INVALID without a message", expected)
	}
}

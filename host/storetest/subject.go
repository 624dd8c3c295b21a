package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/waddle-sessions/waddle/host/store"
)

// Subject is an open store whose calls are kept. The methods that begin with Try
// return what the store answered. The others end the check unless the answer is what
// their comment says.
type Subject struct {
	probe  *Probe
	number int
	target store.Store
	setup  Setup

	mu     sync.Mutex
	closed bool
}

// Target is the store itself; calls to it are not kept.
func (s *Subject) Target() store.Store { return s.target }

// Setup is what the store was opened with, including its directory.
func (s *Subject) Setup() Setup { return s.setup }

func (s *Subject) note(c call) {
	c.store = s.number
	s.probe.note(c)
}

func (s *Subject) ctx() context.Context { return s.probe.suite.ctx }

// TryGet calls Get.
func (s *Subject) TryGet(key []byte, now store.Millis) ([]byte, error) {
	value, err := s.target.Get(s.ctx(), key, now)
	s.note(call{op: store.OpGet, key: key, now: now, err: err, result: value})
	return value, err
}

// TrySet calls Set.
func (s *Subject) TrySet(w store.Write) error {
	err := s.target.Set(s.ctx(), w)
	s.note(call{op: store.OpSet, key: w.Key, value: w.Value, expires: w.Expires, now: w.Now, expect: w.Expect, err: err})
	return err
}

// TryTouch calls Touch.
func (s *Subject) TryTouch(key []byte, expires, now store.Millis) error {
	s.needs(needTouch)
	err := store.Touch(s.ctx(), s.target, key, expires, now)
	s.note(call{op: store.OpTouch, key: key, expires: expires, now: now, err: err})
	return err
}

// TryDelete calls Delete.
func (s *Subject) TryDelete(key []byte, now store.Millis) error {
	err := s.target.Delete(s.ctx(), key, now)
	s.note(call{op: store.OpDelete, key: key, now: now, err: err})
	return err
}

// TryRestore calls Restore.
func (s *Subject) TryRestore(records iter.Seq2[store.Record, error], now store.Millis) error {
	s.needs(needRestore)
	count := 0
	err := store.Restore(s.ctx(), s.target, func(yield func(store.Record, error) bool) {
		for r, err := range records {
			count++
			if count <= keptCalls/4 {
				s.note(call{op: opRecord, key: r.Key, value: r.Value, expires: r.Expires, err: err})
			}
			if !yield(r, err) {
				return
			}
		}
	}, now)
	s.note(call{op: store.OpRestore, count: count, now: now, err: err})
	return err
}

// Get requires the value under a key.
func (s *Subject) Get(key []byte, now store.Millis, want []byte) {
	value, err := s.TryGet(key, now)
	if err != nil {
		s.end(err, "the value "+bytesInWords(want))
	}
	if !bytes.Equal(value, want) {
		s.probe.Fail(differ(value, want), "the value "+bytesInWords(want))
	}
}

// Absent requires that there is no record under a key.
func (s *Subject) Absent(key []byte, now store.Millis) {
	value, err := s.TryGet(key, now)
	if err == nil {
		s.probe.Fail("the value "+bytesInWords(value), "NOT_FOUND")
	}
	s.want(err, store.ErrNotFound)
}

// Set requires that the value is stored, or removed if its expiry has passed.
func (s *Subject) Set(w store.Write) { s.want(s.TrySet(w), nil) }

// SetFails requires that a write fails with the error.
func (s *Subject) SetFails(w store.Write, want error) { s.want(s.TrySet(w), want) }

// Put stores a value that never expires, at Now, whatever is there.
func (s *Subject) Put(key, value []byte) { s.Set(store.Write{Key: key, Value: value, Now: Now}) }

// Touch requires that a record is touched.
func (s *Subject) Touch(key []byte, expires, now store.Millis) {
	s.want(s.TryTouch(key, expires, now), nil)
}

// retime gives a record, whose value is given, another expiry: by Touch or, in a store
// without Touch, by writing it again.
func (s *Subject) retime(key, value []byte, expires, now store.Millis) {
	if s.probe.has(needTouch) {
		s.Touch(key, expires, now)
		return
	}
	s.Set(store.Write{Key: key, Value: value, Expires: expires, Now: now})
}

// TouchFails requires that a touch fails with the error.
func (s *Subject) TouchFails(key []byte, expires, now store.Millis, want error) {
	s.want(s.TryTouch(key, expires, now), want)
}

// Delete requires success.
func (s *Subject) Delete(key []byte, now store.Millis) { s.want(s.TryDelete(key, now), nil) }

// Clear requires success.
func (s *Subject) Clear(now store.Millis) {
	s.needs(needClear)
	err := store.Clear(s.ctx(), s.target, now)
	s.note(call{op: store.OpClear, now: now, err: err})
	s.want(err, nil)
}

// Save requires success. A store that has no Save keeps what it accepted as well as it
// ever will.
func (s *Subject) Save(now store.Millis) {
	if !s.probe.has(needSave) {
		return
	}
	err := store.Save(s.ctx(), s.target, now)
	s.note(call{op: store.OpSave, now: now, err: err})
	s.want(err, nil)
}

// Sweep requires success and returns how many records were removed.
func (s *Subject) Sweep(max int, now store.Millis) int {
	removed, err := store.Sweep(s.ctx(), s.target, max, now)
	s.note(call{op: store.OpSweep, expect: int64(max), now: now, count: removed, err: err})
	s.want(err, nil)
	if removed < 0 {
		s.probe.Failf("a number of records", "%d records removed", removed)
	}
	return removed
}

// Keys requires that the enumeration succeeds, and returns how often each key was
// named. during, if it is not nil, is called with each key.
func (s *Subject) Keys(now store.Millis, during func(key []byte)) map[string]int {
	keys, err := s.tryKeys(now, during)
	s.want(err, nil)
	return keys
}

func (s *Subject) tryKeys(now store.Millis, during func(key []byte)) (map[string]int, error) {
	keys := make(map[string]int)
	var failed error
	for key, err := range store.Keys(s.ctx(), s.target, now) {
		if failed = err; err != nil {
			break
		}
		keys[string(key)]++
		if during != nil {
			during(key)
		}
	}
	s.note(call{op: store.OpKeys, now: now, count: len(keys), err: failed})
	return keys, failed
}

// Snapshot requires that the enumeration succeeds, and returns the last record of each
// key. during, if it is not nil, is called with each record.
func (s *Subject) Snapshot(now store.Millis, during func(store.Record)) map[string]store.Record {
	records := make(map[string]store.Record)
	var failed error
	for r, err := range store.Snapshot(s.ctx(), s.target, now) {
		if failed = err; err != nil {
			break
		}
		records[string(r.Key)] = r
		if during != nil {
			during(r)
		}
	}
	s.note(call{op: store.OpSnapshot, now: now, count: len(records), err: failed})
	s.want(failed, nil)
	return records
}

// Restore requires success.
func (s *Subject) Restore(records iter.Seq2[store.Record, error], now store.Millis) {
	s.want(s.TryRestore(records, now), nil)
}

// needs skips the rest of the check if the store lacks what it needs.
func (s *Subject) needs(n need) {
	if reason := n.lacks(s.probe.suite.have); reason != "" {
		s.probe.Skip(reason)
	}
}

// abandon removes what a durable store would save at the end of a check for nobody to
// read: saving it would be most of the time that a suite takes. A backend would keep it.
func (s *Subject) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.probe.suite.have&(needDurable|needShared) != 0 {
		_ = store.Clear(context.WithoutCancel(s.ctx()), s.target, Now) // closing reports what is wrong
	}
}

// Close closes the store and requires success. If the store is already closed, Close
// does nothing.
func (s *Subject) Close() {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return
	}
	// It must end even after a run was cancelled.
	err := store.Close(context.WithoutCancel(s.ctx()), s.target)
	s.note(call{op: store.OpClose, err: err})
	s.want(err, nil)
}

// want ends the check if the last call had another outcome.
func (s *Subject) want(err, want error) {
	if want == nil && err == nil || want != nil && errors.Is(err, want) {
		return
	}
	s.end(err, errorInWords(want))
}

// end ends the check for an unexpected error.
func (s *Subject) end(err error, expected string) {
	if cancelled := s.ctx().Err(); cancelled != nil && errors.Is(err, cancelled) {
		s.probe.Skip("the run was ended: " + cancelled.Error())
	}
	found := errorInWords(err)
	if explain := s.probe.suite.options.Explain; explain != nil && err != nil {
		if more := explain(err); more != "" {
			found += "\n" + more
		}
	}
	s.probe.Fail(found, expected+s.probe.aboutRoom(err))
}

// HasExactly requires that an enumeration has named exactly these keys, each at least
// once.
func (s *Subject) HasExactly(got map[string]int, want ...[]byte) {
	wanted := make(map[string]bool, len(want))
	for _, key := range want {
		wanted[string(key)] = true
		if got[string(key)] == 0 {
			s.probe.failAbout(key, fmt.Sprintf("the key %s is missing among %d", bytesInWords(key), len(got)),
				"each stored key, at least once"+s.probe.aboutRoom(store.ErrNotFound))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if !wanted[key] {
			s.probe.failAbout([]byte(key), "the key "+bytesInWords([]byte(key))+", which is not stored", "only keys that are stored")
		}
	}
}

// HasRecords requires exactly these records in a snapshot.
func (s *Subject) HasRecords(got map[string]store.Record, want map[string]store.Record) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		w := want[key]
		r, ok := got[key]
		switch {
		case !ok:
			s.probe.failAbout(w.Key, fmt.Sprintf("the record %s is missing among %d", bytesInWords(w.Key), len(got)),
				"each stored record, at least once"+s.probe.aboutRoom(store.ErrNotFound))
		case !bytes.Equal(r.Value, w.Value):
			s.probe.failAbout(w.Key, fmt.Sprintf("the record %s with %s", bytesInWords(w.Key), differ(r.Value, w.Value)), "the value "+bytesInWords(w.Value))
		case r.Expires != w.Expires:
			s.probe.failAbout(w.Key, fmt.Sprintf("the record %s with the expiry %s", bytesInWords(w.Key), expiryInWords(r.Expires)), "the expiry "+expiryInWords(w.Expires))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[key]; !ok {
			s.probe.failAbout([]byte(key), "the record "+bytesInWords([]byte(key))+", which is not stored", "only records that are stored")
		}
	}
}

package protocol

import (
	"errors"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// runner is an open instance together with the operations that the host emulates.
// It belongs to the holder of its shard's lock.
type runner struct {
	Instance
	sleeper    Sleeper   // the same, or nil if it cannot be put aside
	batcher    Batcher   // the same, or nil if it takes one operation in a call
	register   *Register // the instance's, or one that nobody else knows
	registered bool
	opened     time.Time
	cas        bool
	remote     bool
	lacks      lacks
	flushSize  flushSize
	batch      batchSize
}

// lacks are exports that answered UNSUPPORTED. They always will.
type lacks struct{ touch, flush, restore, stats bool }

// bringUp makes an instance and takes it through the steps before the
// first operation.
func (st *Store) bringUp(shard int) (*runner, error) {
	inst, err := st.config.New(shard)
	if err != nil {
		return nil, err
	}
	r := &runner{Instance: inst, opened: st.config.Now(), batch: st.config.newBatchSize()}
	r.sleeper, _ = inst.(Sleeper)
	if registered, ok := inst.(Registered); ok {
		r.register, r.registered = registered.Register(), true
	} else {
		r.register = new(Register)
	}
	r.batcher, _ = inst.(Batcher)
	if err := st.introduce(r, shard); err != nil {
		var f *Fault
		if errors.As(err, &f) {
			f.Output = inst.Output()
		}
		inst.Close()
		return nil, err
	}
	return r, nil
}

// introduce gets the guest's description and opens the guest.
func (st *Store) introduce(r *runner, shard int) error {
	if err := r.Initialize(); err != nil {
		return err
	}
	list, err := r.Describe()
	switch code, answered := CodeOf(err); {
	case answered && code == abi.Unsupported:
		list = nil
	case err != nil:
		return err
	}
	d, err := parseDescription(list)
	if err != nil {
		return err
	}
	// The answer of the first instance holds for all.
	if !st.described.CompareAndSwap(nil, d) {
		d = st.described.Load()
	}
	if st.config.Admit != nil {
		if err := st.config.Admit(d); err != nil {
			return err
		}
	}
	r.cas, r.remote = d.CAS, d.Remote
	if r.batcher != nil && !st.lacksBatch.Load() {
		st.batches.Store(true)
	}
	return r.Open(st.config.Pairs(shard))
}

// The following methods return answers and faults.

func (r *runner) set(w *store.Write) error {
	if w.Expect != store.Any && !r.cas {
		return r.compareAndSet(*w)
	}
	return r.Set(*w)
}

func (r *runner) compareAndSet(w store.Write) error {
	if err := r.compare(w); err != nil {
		return err
	}
	w.Expect = store.Any
	return r.Set(w)
}

// compare checks the condition of a write for a guest without compare-and-set. The
// shard's lock makes it one step with the write that follows.
func (r *runner) compare(w store.Write) error {
	value, err := r.Get(w.Key, w.Now)
	switch {
	case err == store.ErrNotFound && w.Expect == store.Absent:
		return nil
	case err == store.ErrNotFound:
		return store.ErrConflict
	case err != nil:
		return err
	case w.Expect == store.Absent || abi.Revision(value) != uint64(w.Expect):
		return store.ErrConflict
	}
	return nil
}

// touch uses scratch for the value of a record that it must rewrite.
func (r *runner) touch(key []byte, expires, now store.Millis, scratch *[]byte) error {
	if !r.lacks.touch {
		err := r.Touch(key, expires, now)
		if code, _ := CodeOf(err); code != abi.Unsupported {
			return err
		}
		r.lacks.touch = true
	}
	if r.remote {
		return r.touchRemote(key, expires, now, scratch)
	}
	value, err := r.Get(key, now)
	if err != nil {
		return err
	}
	if expires != 0 && expires <= now {
		return r.remove(key, now)
	}
	return r.rewrite(key, value, expires, now, store.Any, scratch)
}

// rewrite stores a value that lies in the guest's memory. It copies the value first,
// since the next call may move it.
func (r *runner) rewrite(key, value []byte, expires, now store.Millis, expect int64, scratch *[]byte) error {
	*scratch = append((*scratch)[:0], value...)
	err := r.set(&store.Write{Key: key, Value: *scratch, Expires: expires, Now: now, Expect: expect})
	if cap(*scratch) > 1<<20 {
		*scratch = nil
	}
	return err
}

// touchAttempts is how often touch rereads a record that others change meanwhile.
const touchAttempts = 16

// touchRemote touches a record that others may write too: the shard's lock does not
// stop them. It must neither overwrite what they store nor bring back what they remove.
func (r *runner) touchRemote(key []byte, expires, now store.Millis, scratch *[]byte) error {
	for range touchAttempts {
		value, err := r.Get(key, now)
		if err != nil {
			return err
		}
		expect := int64(abi.Revision(value))
		if expect == store.Any || expect == store.Absent {
			return &Answer{Code: abi.Unsupported, Message: "the guest cannot touch, and the record has no revision that the host could compare"}
		}
		if err := r.rewrite(key, value, expires, now, expect, scratch); err != store.ErrConflict {
			return err
		}
	}
	return &Answer{Code: abi.Unavailable, Message: "others kept changing the record while it was touched"}
}

func (r *runner) remove(key []byte, now store.Millis) error {
	err := r.Delete(key, now)
	if err == store.ErrNotFound {
		return nil // an absent record counts as deleted
	}
	return err
}

func (r *runner) restore(list []byte, now store.Millis, opening bool) error {
	if !r.lacks.restore {
		err := r.Restore(list, now, opening)
		if a, ok := err.(*Answer); ok && a.NoBuffer {
			// A guest for small values may lack a buffer for a long list.
			first, second := halves(list)
			if len(second) == 0 {
				return err
			}
			if err := r.restore(first, now, opening); err != nil {
				return err
			}
			return r.restore(second, now, opening)
		}
		if code, _ := CodeOf(err); code != abi.Unsupported {
			return err
		}
		r.lacks.restore = true
	}
	for {
		key, value, expires, rest, ok := abi.NextRecord(list)
		if !ok {
			return nil
		}
		if expires == 0 || store.Millis(expires) > now {
			if err := r.set(&store.Write{Key: key, Value: value, Expires: store.Millis(expires), Now: now}); err != nil {
				return err
			}
		}
		list = rest
	}
}

// halves divides a list of records into two of about the same size. The second is
// empty if there is only one record.
func halves(list []byte) (first, second []byte) {
	for rest := list; ; {
		_, _, _, after, ok := abi.NextRecord(rest)
		if !ok || len(after) == 0 {
			// The last record is at least half of the list.
			at := len(list) - len(rest)
			if at == 0 {
				return list, nil
			}
			return list[:at], rest
		}
		if rest = after; len(rest) <= len(list)/2 {
			return list[:len(list)-len(rest)], rest
		}
	}
}

package storetest_test

import (
	"context"
	"iter"

	"github.com/waddle-sessions/waddle/host/store"
)

// faulty is a store in memory with one fault: a nil function means correct
// behaviour.
type faulty struct {
	*store.Memory
	get      func(m *store.Memory, key []byte, now store.Millis) ([]byte, error)
	set      func(m *store.Memory, w store.Write) error
	touch    func(m *store.Memory, key []byte, expires, now store.Millis) error
	delete   func(m *store.Memory, key []byte, now store.Millis) error
	clear    func(m *store.Memory, now store.Millis) error
	save     func(m *store.Memory, now store.Millis) error
	sweep    func(m *store.Memory, max int, now store.Millis) (int, error)
	keys     func(m *store.Memory, now store.Millis) iter.Seq2[[]byte, error]
	snapshot func(m *store.Memory, now store.Millis) iter.Seq2[store.Record, error]
	restore  func(m *store.Memory, records iter.Seq2[store.Record, error], now store.Millis) error
	close    func(m *store.Memory) error
}

var ctx = context.Background()

func (f *faulty) Get(c context.Context, key []byte, now store.Millis) ([]byte, error) {
	if f.get != nil && c.Err() == nil {
		return f.get(f.Memory, key, now)
	}
	return f.Memory.Get(c, key, now)
}

func (f *faulty) Set(c context.Context, w store.Write) error {
	if f.set != nil && c.Err() == nil {
		return f.set(f.Memory, w)
	}
	return f.Memory.Set(c, w)
}

func (f *faulty) Touch(c context.Context, key []byte, expires, now store.Millis) error {
	if f.touch != nil && c.Err() == nil {
		return f.touch(f.Memory, key, expires, now)
	}
	return f.Memory.Touch(c, key, expires, now)
}

func (f *faulty) Delete(c context.Context, key []byte, now store.Millis) error {
	if f.delete != nil && c.Err() == nil {
		return f.delete(f.Memory, key, now)
	}
	return f.Memory.Delete(c, key, now)
}

func (f *faulty) Clear(c context.Context, now store.Millis) error {
	if f.clear != nil && c.Err() == nil {
		return f.clear(f.Memory, now)
	}
	return f.Memory.Clear(c, now)
}

func (f *faulty) Save(c context.Context, now store.Millis) error {
	if f.save != nil && c.Err() == nil {
		return f.save(f.Memory, now)
	}
	return f.Memory.Save(c, now)
}

func (f *faulty) Sweep(c context.Context, max int, now store.Millis) (int, error) {
	if f.sweep != nil {
		return f.sweep(f.Memory, max, now)
	}
	return f.Memory.Sweep(c, max, now)
}

func (f *faulty) Keys(c context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	if f.keys != nil {
		return f.keys(f.Memory, now)
	}
	return f.Memory.Keys(c, now)
}

func (f *faulty) Snapshot(c context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	if f.snapshot != nil {
		return f.snapshot(f.Memory, now)
	}
	return f.Memory.Snapshot(c, now)
}

func (f *faulty) Restore(c context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	if f.restore != nil {
		return f.restore(f.Memory, records, now)
	}
	return f.Memory.Restore(c, records, now)
}

func (f *faulty) Close(c context.Context) error {
	if f.close != nil {
		return f.close(f.Memory)
	}
	return f.Memory.Close(c)
}

// mapped returns records as a function changes them; false leaves a record out.
func mapped(m *store.Memory, now store.Millis, change func(i int, r store.Record) (store.Record, bool)) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		i := 0
		for r, err := range m.Snapshot(ctx, now) {
			if r, ok := change(i, r); ok && !yield(r, err) {
				return
			}
			i++
		}
	}
}

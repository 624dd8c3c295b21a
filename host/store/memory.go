package store

import (
	"context"
	"hash/maphash"
	"iter"
	"sync"

	"github.com/waddle-sessions/waddle/abi"
)

const memoryShards = 64

// Memory is a Store in Go maps of this process. It is the reference for what a
// Store does and the baseline of the benchmarks. It evicts nothing, so only the
// machine's memory bounds it.
//
// Writes, Set and Touch, remove expired records: each looks at a few records
// besides its own. The more is written, the more is removed, and the store holds at
// most about twice as many records as are alive. A store that is not written to
// does not grow, and keeps expired records until Sweep or Save finds them.
//
// The zero value is ready to use.
type Memory struct {
	seed   maphash.Seed
	once   sync.Once
	shards [memoryShards]memoryShard
	clock  steadyTime

	sweepMu   sync.Mutex
	sweepNext int
}

var (
	_ Store       = (*Memory)(nil)
	_ Bounded     = (*Memory)(nil)
	_ Toucher     = (*Memory)(nil)
	_ Clearer     = (*Memory)(nil)
	_ Saver       = (*Memory)(nil)
	_ Sweeper     = (*Memory)(nil)
	_ Lister      = (*Memory)(nil)
	_ Snapshotter = (*Memory)(nil)
	_ Restorer    = (*Memory)(nil)
	_ Closer      = (*Memory)(nil)
)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	m := new(Memory)
	m.init()
	return m
}

func (m *Memory) init() {
	m.once.Do(func() {
		m.seed = maphash.MakeSeed()
		for i := range m.shards {
			m.shards[i].clear()
		}
	})
}

// lock locks and returns the shard of a key, unless the operation cannot begin.
func (m *Memory) lock(ctx context.Context, key []byte) (*memoryShard, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	m.init()
	s := &m.shards[maphash.Bytes(m.seed, key)%memoryShards]
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	return s, nil
}

// each runs f on every shard, locked one after the other.
func (m *Memory) each(ctx context.Context, f func(*memoryShard)) error {
	m.init()
	for i := range m.shards {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &m.shards[i]
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return ErrClosed
		}
		f(s)
		s.mu.Unlock()
	}
	return nil
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key []byte, now Millis) ([]byte, error) {
	return m.GetInto(ctx, key, now, nil, abi.MaxValue)
}

// GetInto implements Bounded.
func (m *Memory) GetInto(ctx context.Context, key []byte, now Millis, into []byte, most int) ([]byte, error) {
	s, err := m.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r := s.find(key, now)
	if r == nil {
		return nil, ErrNotFound
	}
	if err := CheckSize(len(r.value), most); err != nil {
		return nil, err
	}
	return CopyInto(into, r.value), nil
}

// Set implements Store.
func (m *Memory) Set(ctx context.Context, w Write) error {
	if err := CheckWrite(w); err != nil {
		return err
	}
	s, err := m.lock(ctx, w.Key)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	old := s.find(w.Key, w.Now)
	switch w.Expect {
	case Any:
	case Absent:
		if old != nil {
			return ErrConflict
		}
	default:
		if old == nil || abi.Revision(old.value) != uint64(w.Expect) {
			return ErrConflict
		}
	}
	if w.Expires != 0 && w.Now >= w.Expires {
		s.remove(w.Key)
	} else {
		s.put(w.Key, w.Value, w.Expires)
	}
	s.sweepSome(m.clock.judge(w.Now))
	return nil
}

// Touch implements Toucher.
func (m *Memory) Touch(ctx context.Context, key []byte, expires, now Millis) error {
	s, err := m.lock(ctx, key)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	r := s.find(key, now)
	if r == nil {
		return ErrNotFound
	}
	r.expires = expires
	if r.expired(now) {
		s.remove(key)
	}
	s.sweepSome(m.clock.judge(now))
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key []byte, _ Millis) error {
	s, err := m.lock(ctx, key)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.remove(key)
	return nil
}

// Clear implements Clearer.
func (m *Memory) Clear(ctx context.Context, _ Millis) error {
	return m.each(ctx, (*memoryShard).clear)
}

// Save implements Saver. Nothing here outlives the process; Save only drops expired
// records.
func (m *Memory) Save(ctx context.Context, now Millis) error {
	return m.each(ctx, func(s *memoryShard) { s.sweep(len(s.records), now) })
}

// Sweep implements Sweeper. It looks at whole shards until max is reached.
func (m *Memory) Sweep(ctx context.Context, max int, now Millis) (removed int, err error) {
	m.init()
	m.sweepMu.Lock()
	defer m.sweepMu.Unlock()
	for seen, turn := 0, 0; seen < max && turn < memoryShards; turn++ {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		s := &m.shards[m.sweepNext]
		m.sweepNext = (m.sweepNext + 1) % memoryShards
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return removed, ErrClosed
		}
		seen += len(s.index)
		removed += s.sweep(len(s.records), now)
		s.mu.Unlock()
	}
	return removed, nil
}

// Keys implements Lister.
func (m *Memory) Keys(ctx context.Context, now Millis) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for r, err := range m.Snapshot(ctx, now) {
			if !yield(r.Key, err) {
				return
			}
		}
	}
}

// Snapshot implements Snapshotter. It holds no lock while the caller handles a
// record.
func (m *Memory) Snapshot(ctx context.Context, now Millis) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		m.init()
		for i := range m.shards {
			if err := ctx.Err(); err != nil {
				yield(Record{}, err)
				return
			}
			s := &m.shards[i]
			s.mu.Lock()
			if s.closed {
				s.mu.Unlock()
				yield(Record{}, ErrClosed)
				return
			}
			records := make([]Record, 0, len(s.records))
			for i := range s.records {
				if r := &s.records[i]; r.key != "" && !r.expired(now) {
					value := append(make([]byte, 0, len(r.value)), r.value...)
					records = append(records, Record{Key: []byte(r.key), Value: value, Expires: r.expires})
				}
			}
			s.mu.Unlock()
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// Restore implements Restorer. It leaves out expired records.
func (m *Memory) Restore(ctx context.Context, records iter.Seq2[Record, error], now Millis) error {
	for r, err := range records {
		if err != nil {
			return err
		}
		if r.Expires != 0 && now >= r.Expires {
			continue
		}
		if err := m.Set(ctx, Write{Key: r.Key, Value: r.Value, Expires: r.Expires, Now: now}); err != nil {
			return err
		}
	}
	return nil
}

// Len returns the number of records held, including expired ones that no sweep has
// found yet.
func (m *Memory) Len() int {
	m.init()
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.index)
		s.mu.Unlock()
	}
	return n
}

// Close implements Closer and drops all records.
func (m *Memory) Close(context.Context) error {
	m.init()
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.clear()
		s.closed = true
		s.mu.Unlock()
	}
	return nil
}

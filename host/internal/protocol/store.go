package protocol

import (
	"cmp"
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/repeats"
	"github.com/waddle-sessions/waddle/host/store"
)

// Store is a running guest: it owns the instances and chooses the one that serves a
// call. It is a [store.Store] with every optional interface. Many goroutines may use
// it at once.
type Store struct {
	config    Config
	described atomic.Pointer[Description] // by the first instance
	opened    atomic.Pointer[Description] // the same, once the first shard has opened
	shards    []*shard
	waiting   waiting // calls that wait for any instance
	queue     queue   // of operations on records
	anybody   party   // operations that wait for any instance

	sideBySide bool // goroutines run on more than one processor

	// batches says that operations that wait do so together, and lacksBatch that an
	// instance has turned out not to take several in a call.
	batches, lacksBatch atomic.Bool

	said    repeats.Filter
	archive Archive // nil for none
	closing atomic.Bool
	ended   chan struct{} // closed when everything has been released
	told    evictionsTold

	statsMu   sync.Mutex
	lastStats []ShardStats
}

var (
	_ store.Store       = (*Store)(nil)
	_ store.Bounded     = (*Store)(nil)
	_ store.Toucher     = (*Store)(nil)
	_ store.Clearer     = (*Store)(nil)
	_ store.Saver       = (*Store)(nil)
	_ store.Sweeper     = (*Store)(nil)
	_ store.Lister      = (*Store)(nil)
	_ store.Snapshotter = (*Store)(nil)
	_ store.Restorer    = (*Store)(nil)
)

// saidRepeats is how many log lines of one class the host itself writes at once.
const saidRepeats = 3

// New returns a store with no open shard: each opens at its first call, the first
// shard before any other.
func New(config Config) *Store {
	st := &Store{config: config.resolve(), said: repeats.Filter{First: saidRepeats}, ended: make(chan struct{}),
		sideBySide: min(runtime.GOMAXPROCS(0), runtime.NumCPU()) > 1,
		shards:     make([]*shard, config.Shards), lastStats: make([]ShardStats, config.Shards)}
	st.queue.begin(&st.config)
	for i := range st.shards {
		s := &shard{store: st, index: i, line: make(chan struct{}, 1)}
		s.progress.over.L = &s.progress.mu
		st.shards[i] = s
	}
	return st
}

// Open opens a shard that was never open. The first shard must be open before any
// other. The error is the instance's, as [Store.Failure] takes it; a call or another
// Open can then still open the shard.
func (st *Store) Open(shard int) error { return st.shards[shard].first() }

// Name returns the plugin's name in logs and errors.
func (st *Store) Name() string {
	name := st.config.Name
	if d := st.described.Load(); name == "" && d != nil {
		name = d.Name
	}
	return cmp.Or(name, st.config.DefaultName)
}

// Shards returns the number of shards.
func (st *Store) Shards() int { return len(st.shards) }

// Description returns the guest's description, or nil until an instance has given
// it. It is shared and must not be changed.
func (st *Store) Description() *Description { return st.described.Load() }

// Poison ends the instance of a shard, which may be put aside, as if it had failed.
func (st *Store) Poison(shard int, err error) {
	s := st.shards[shard]
	s.mu.Lock()
	defer s.unlock()
	inst := cmp.Or(s.inst, s.aside)
	if s.aside != nil {
		s.aside = nil
		s.asleep.Store(false)
	}
	_ = s.failed(inst, "poison", err)
}

func (st *Store) begun() { st.opened.Store(st.described.Load()) }

// description returns the guest's description. It opens the first shard if necessary.
func (st *Store) description(ctx context.Context) (*Description, error) {
	if d := st.opened.Load(); d != nil {
		return d, nil
	}
	return st.begin(ctx)
}

func (st *Store) begin(ctx context.Context) (*Description, error) {
	if _, err := st.shards[0].lock(ctx); err != nil {
		return nil, err
	}
	st.shards[0].unlock()
	return st.opened.Load(), nil
}

func (st *Store) shardOf(key []byte) *shard { return st.shards[abi.ShardOf(key, len(st.shards))] }

// Get implements [store.Store]. It allocates only the value that it returns.
func (st *Store) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return st.GetInto(ctx, key, now, nil, abi.MaxValue)
}

// GetInto implements [store.Bounded]. A value that is too large stays in the
// guest's memory. A value that was read with others, by another goroutine, is fresh: its
// caller may have left meanwhile, and have its memory again.
func (st *Store) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	d, err := st.checkKey(ctx, opGet, key)
	if err == nil {
		err = st.allowed(opGet)
	}
	if err != nil {
		return nil, err
	}
	var s *shard
	var inst *runner
	if d.Remote {
		s, inst, err = st.enterAny(ctx, opGet)
	} else {
		s = st.shardOf(key)
		inst, err = s.enter(ctx, opGet)
	}
	if err != nil {
		if err == errTogether {
			return st.getTogether(ctx, s, key, now, most)
		}
		return nil, err
	}
	defer s.exit()
	b, err := inst.Get(key, now)
	if err = s.done(opGet, inst, err); err != nil {
		return nil, err
	}
	if err := st.checkResult(s.index, len(b), most); err != nil {
		return nil, err
	}
	return store.CopyInto(into, b), nil
}

func (st *Store) getTogether(ctx context.Context, s *shard, key []byte, now store.Millis, most int) ([]byte, error) {
	value, _, _, err := st.together(ctx, s, request{op: opGet, most: most, Write: store.Write{Key: key, Now: now}})
	return value, err
}

// Set implements [store.Store].
func (st *Store) Set(ctx context.Context, w store.Write) error {
	d, err := st.checkWrite(ctx, opSet, w.Key, w.Value)
	if err != nil {
		return err
	}
	if d.Remote {
		return st.write(ctx, d, request{op: opSet, Write: w})
	}
	if err := st.allowed(opSet); err != nil {
		return err
	}
	s := st.shardOf(w.Key)
	if !st.config.SaveEach {
		_, err := s.set(ctx, &w)
		return err
	}
	m, err := s.setBeforeSave(ctx, &w)
	if err != nil {
		return err
	}
	return s.saveUpTo(m, st.config.judge(w.Now))
}

func (s *shard) setBeforeSave(ctx context.Context, w *store.Write) (mark, error) {
	s.arrive()
	defer s.leave()
	return s.set(ctx, w)
}

// set is write for the most frequent operation, without a function call in between.
func (s *shard) set(ctx context.Context, w *store.Write) (mark, error) {
	inst, err := s.enter(ctx, opSet)
	if err != nil {
		if err == errTogether {
			_, _, m, err := s.store.together(ctx, s, request{op: opSet, Write: *w})
			return m, err
		}
		return mark{}, err
	}
	defer s.exit()
	if err := s.store.writable(); err != nil {
		return mark{}, s.done(opSet, inst, err)
	}
	m := s.wrote()
	if w.Expect == store.Any || inst.cas {
		return m, s.done(opSet, inst, inst.Set(*w))
	}
	return m, s.done(opSet, inst, inst.compareAndSet(*w))
}

// Touch implements [store.Toucher]. For a guest that has no touch, the host reads
// and writes the record under one lock of its shard.
func (st *Store) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	d, err := st.checkKey(ctx, opTouch, key)
	if err != nil {
		return err
	}
	return st.write(ctx, d, request{op: opTouch, Write: store.Write{Key: key, Expires: expires, Now: now}})
}

// Delete implements [store.Store].
func (st *Store) Delete(ctx context.Context, key []byte, now store.Millis) error {
	d, err := st.checkKey(ctx, opDelete, key)
	if err != nil {
		return err
	}
	return st.write(ctx, d, request{op: opDelete, Write: store.Write{Key: key, Now: now}})
}

// write runs an operation that changes a record, and makes it durable if the store
// saves each write.
func (st *Store) write(ctx context.Context, d *Description, r request) error {
	if err := st.allowed(r.op); err != nil {
		return err
	}
	var s *shard
	if !d.Remote {
		s = st.shardOf(r.Key)
	}
	s, m, err := st.writeIn(ctx, s, r)
	if err != nil || !st.config.SaveEach {
		return err
	}
	return s.saveUpTo(m, st.config.judge(r.Now))
}

// writeIn runs it in a shard, or in any instance if s is nil.
func (st *Store) writeIn(ctx context.Context, s *shard, r request) (at *shard, m mark, err error) {
	f := func(s *shard, inst *runner) error {
		_, err := s.make(inst, &r)
		return err
	}
	if s == nil {
		if at, m, err = st.writeAnywhere(ctx, r.op, f); err == errTogether {
			_, at, m, err = st.together(ctx, nil, r)
		}
		return at, m, err
	}
	if m, err = s.write(ctx, r.op, f); err == errTogether {
		s.arrive()
		defer s.leave()
		_, _, m, err = st.together(ctx, s, r)
	}
	return s, m, err
}

func (s *shard) write(ctx context.Context, op opKind, f func(*shard, *runner) error) (mark, error) {
	s.arrive()
	defer s.leave()
	inst, err := s.enter(ctx, op)
	if err != nil {
		return mark{}, err
	}
	defer s.exit()
	return s.change(op, inst, f)
}

func (st *Store) writeAnywhere(ctx context.Context, op opKind, f func(*shard, *runner) error) (*shard, mark, error) {
	s, inst, err := st.enterAny(ctx, op)
	if err != nil {
		return nil, mark{}, err
	}
	defer s.exit()
	m, err := s.change(op, inst, f)
	return s, m, err
}

// change runs an operation that changes something. The shard's lock is held.
func (s *shard) change(op opKind, inst *runner, f func(*shard, *runner) error) (mark, error) {
	if err := s.store.writable(); err != nil {
		return mark{}, s.done(op, inst, err)
	}
	return s.wrote(), s.done(op, inst, f(s, inst))
}

func (st *Store) allowed(op opKind) error {
	if st.config.Allow == nil || op == opRestore {
		return nil
	}
	f := st.config.Allow()
	if f == nil {
		return nil
	}
	return st.forbidden(op, f)
}

func (st *Store) forbidden(op opKind, f *Failure) error {
	f.Plugin, f.Op, f.Shard = st.Name(), op.String(), NoShard
	return st.config.Fail(f)
}

func (st *Store) writable() error {
	if st.config.Writable == nil {
		return nil
	}
	return st.config.Writable()
}

// Clear implements [store.Clearer]. It clears every shard even if one fails, and
// joins the errors.
func (st *Store) Clear(ctx context.Context, now store.Millis) error {
	if err := st.allowed(opClear); err != nil {
		return err
	}
	if _, err := st.description(ctx); err != nil {
		return err
	}
	every := st.everyShard
	if st.remote() {
		every = st.once
	}
	err := every(ctx, opClear, func(s *shard, inst *runner) error {
		if err := st.writable(); err != nil {
			return err
		}
		s.wrote()
		return inst.Clear(now)
	})
	if err == nil && st.config.SaveEach {
		err = st.Save(ctx, now)
	}
	return err
}

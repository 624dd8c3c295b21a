package protocol

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// spread makes every instance of a remote guest write once.
func spread(t *testing.T, f *fake, st *Store) {
	t.Helper()
	n := len(st.shards)
	m := newMeeting(f, "set", n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := st.Set(context.Background(), store.Write{Key: fmt.Append(nil, i), Value: revised(1, "v"), Now: 1}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	f.within = func(string, int) {}
	for _, s := range st.shards {
		require.EqualValues(t, 1, s.progress.written.Load(), "the test needs each of them")
	}
	require.EqualValues(t, n, m.most.Load())
}

// Each instance of a guest whose records lie elsewhere saves what it has written: what it can
// promise may hold for its own connection.
func TestEveryInstanceSaves(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*testing.T, *Store) error
	}{
		{"save", func(t *testing.T, st *Store) error { return st.Save(t.Context(), 1) }},
		{"step", func(t *testing.T, st *Store) error {
			for i := range st.shards {
				require.True(t, st.Unsaved(i))
				require.NoError(t, st.SaveShard(t.Context(), i, at(1)))
				require.False(t, st.Unsaved(i))
				require.NoError(t, st.SaveShard(t.Context(), i, at(1)))
			}
			return nil
		}},
		{"sleep", func(t *testing.T, st *Store) error { return st.Sleep(t.Context(), 1) }},
		{"recycle", func(t *testing.T, st *Store) error { return st.Recycle(t.Context(), 1) }},
		{"close", func(t *testing.T, st *Store) error { return st.Close(t.Context(), 1, nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := elsewhere()
			st := f.open(t, Config{Shards: 4})
			spread(t, f, st)
			var mu sync.Mutex
			saved := make(map[int]int)
			f.within = func(op string, shard int) {
				mu.Lock()
				defer mu.Unlock()
				if op == "save" {
					saved[shard]++
				}
			}
			require.NoError(t, c.do(t, st))
			require.Equal(t, map[int]int{0: 1, 1: 1, 2: 1, 3: 1}, saved)
		})
	}
}

// One that cannot save is an error, and the others save.
func TestOneInstanceDoesNotSave(t *testing.T) {
	f := elsewhere()
	st := f.open(t, Config{Shards: 4})
	spread(t, f, st)
	f.failing("save", &Answer{Code: abi.Unavailable, Message: "1 of 2 replicas"})
	require.ErrorIs(t, st.Save(t.Context(), 1), store.ErrUnavailable)
	require.Equal(t, 4, f.count("save"))
	require.ErrorIs(t, st.Recycle(t.Context(), 1), store.ErrUnavailable)
	require.Equal(t, 4, f.count("close"), "of the new ones")
	for i := range st.shards {
		require.EqualValues(t, 1, st.shards[i].instances)
	}
}

// An instance that nobody has opened has nothing to save.
func TestSaveOpensNoInstance(t *testing.T) {
	f := elsewhere()
	st := f.lazy(t, Config{Shards: 4})
	require.NoError(t, st.Delete(t.Context(), []byte("key"), 1))
	require.NoError(t, st.Save(t.Context(), 1))
	require.Equal(t, 1, f.count("save"))
	require.Equal(t, []int{0}, f.opened)
}

// A write that waits to be made durable while its instance is put to sleep or replaced is saved with
// it, and neither waits for the other for ever.
func TestSavingWhileTheInstanceIsReplaced(t *testing.T) {
	for name, f := range map[string]func() *fake{"files": func() *fake { return newFake(byKey...) }, "elsewhere": elsewhere} {
		for what, replace := range map[string]func(*Store) error{
			"sleep":   func(st *Store) error { return st.Sleep(context.Background(), 1) },
			"recycle": func(st *Store) error { return st.Recycle(context.Background(), 1) },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				f := f()
				if f.shared == nil {
					f.shared = make(map[string]store.Record)
				}
				st := f.open(t, Config{SaveEach: true, KeepsFiles: name == "files"})
				s := st.shards[0]
				// The write was made, and somebody replaces the instance before it is saved.
				m, err := s.write(t.Context(), opDelete, func(_ *shard, inst *runner) error { return inst.remove([]byte("key"), 1) })
				require.NoError(t, err)
				in, out := make(chan struct{}), make(chan struct{})
				f.within = func(op string, _ int) {
					if op == "save" {
						close(in)
						<-out
					}
				}
				replaced, saved := make(chan error, 1), make(chan error, 1)
				go func() { replaced <- replace(st) }()
				<-in
				f.within = func(string, int) {}
				go func() { saved <- s.saveUpTo(m, 1) }()
				require.Eventually(t, func() bool {
					s.progress.mu.Lock()
					defer s.progress.mu.Unlock()
					return s.progress.saving
				}, time.Minute, 100*time.Microsecond)
				close(out)
				for _, outcome := range []chan error{replaced, saved} {
					select {
					case err := <-outcome:
						require.NoError(t, err)
					case <-time.After(time.Minute):
						t.Fatal("one waits for the other")
					}
				}
				require.Equal(t, 1, f.count("save"))
			})
		}
	}
}

// Writers that save each write share saves, as many as there are, although each waits for the lock to
// write. Nobody can say who is how fast, so that the best of some attempts counts.
func TestWritersShareSaves(t *testing.T) {
	const writers, rounds = 32, 10
	for _, together := range []bool{false, true} {
		t.Run(fmt.Sprint("together=", together), func(t *testing.T) {
			best := writers * rounds
			for attempt := 0; attempt < 20 && best >= 2*rounds; attempt++ {
				best = min(best, savesOf(t, together, writers, rounds))
			}
			require.Less(t, best, 2*rounds, "of %d writes", writers*rounds)
		})
	}
}

// savesOf returns how many saves make the writes of several writers durable.
func savesOf(t *testing.T, together bool, writers, rounds int) int {
	b := newBatching(newFake(byKey...))
	st := b.open(t, Config{SaveEach: true})
	st.batches.Store(together)
	b.fake.within = func(op string, _ int) {
		if op == "save" {
			time.Sleep(5 * time.Millisecond)
		}
	}
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range rounds {
				if err := st.Set(context.Background(), store.Write{Key: fmt.Append(nil, w), Value: revised(uint64(n+1), "v"), Now: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	return b.count("save")
}

// A save that fails does so for every write that it was for, also if the next one succeeds: the guest may
// have forgotten them. Writes after it are not concerned, nor is saving at intervals.
func TestFailedSaveFailsAllItsWrites(t *testing.T) {
	f := elsewhere()
	st := f.open(t, Config{SaveEach: true})
	s := st.shards[0]
	write := func() mark {
		m, err := s.write(t.Context(), opDelete, func(_ *shard, inst *runner) error { return inst.remove([]byte("key"), 1) })
		require.NoError(t, err)
		return m
	}
	before := write()
	require.NoError(t, s.saveUpTo(before, 1))
	one, other := write(), write()
	f.failing("save", &Answer{Code: abi.Unavailable, Message: "the connection ended"})
	require.ErrorIs(t, s.saveUpTo(one, 1), store.ErrUnavailable)
	f.failing("save", nil)
	require.ErrorContains(t, s.saveUpTo(other, 1), "the connection ended")
	require.NoError(t, s.saveUpTo(before, 1))
	after := write()
	require.NoError(t, s.saveUpTo(after, 1))
	require.ErrorContains(t, s.saveUpTo(other, 1), "the connection ended", "whenever it asks")
	require.Equal(t, 3, f.count("save"))

	f.failing("save", &Answer{Code: abi.NoSpace})
	write()
	require.Error(t, st.SaveShard(t.Context(), 0, at(1)))
	f.failing("save", nil)
	require.True(t, st.Unsaved(0))
	require.NoError(t, st.SaveShard(t.Context(), 0, at(1)))
	require.False(t, st.Unsaved(0))
}

// A panic of a guest that saves makes nothing durable, and keeps nobody from saving.
func TestPanicOfASave(t *testing.T) {
	f := newFake(byKey...)
	st := f.open(t, Config{SaveEach: true})
	f.within = func(op string, _ int) {
		if op == "save" {
			panic("on fire")
		}
	}
	set := func() error {
		return st.Set(context.Background(), store.Write{Key: []byte("key"), Value: revised(1, "v"), Now: 1})
	}
	require.Panics(t, func() { _ = set() })
	f.within = func(string, int) {}
	require.True(t, st.Unsaved(0))
	require.NoError(t, set())
	require.False(t, st.Unsaved(0))
}

package storetest_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// backend is what several hosts share.
type backend struct {
	mu     sync.Mutex
	spaces map[string]*store.Memory
	hosts  map[*store.Memory]int
	latest map[*store.Memory]store.Millis // the newest time that any host gave
}

// space returns the records of a namespace.
func (b *backend) space(name string) (m *store.Memory, host int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m = b.spaces[name]
	if m == nil {
		m = store.NewMemory()
		b.spaces[name] = m
	}
	b.hosts[m]++
	return m, b.hosts[m]
}

// alike returns the records of every namespace whose name differs from that of m in its
// last character at most.
func (b *backend) alike(m *store.Memory) (list []*store.Memory) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.spaces {
		if b.spaces[name] != m {
			continue
		}
		for other, records := range b.spaces {
			if other[:len(other)-1] == name[:len(name)-1] {
				list = append(list, records)
			}
		}
	}
	return list
}

// seen is now, or a later time that a host gave.
func (b *backend) seen(m *store.Memory, now store.Millis) store.Millis {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest[m] = max(b.latest[m], now)
	return b.latest[m]
}

// sharer is one host's store over a backend. A host that ends does not end the backend.
type sharer struct {
	*faulty
	closed atomic.Bool
}

func (s *sharer) check(c context.Context) error {
	if err := c.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return store.ErrClosed
	}
	return nil
}

func (s *sharer) Get(c context.Context, key []byte, now store.Millis) ([]byte, error) {
	if err := s.check(c); err != nil {
		return nil, err
	}
	return s.faulty.Get(c, key, now)
}

func (s *sharer) Set(c context.Context, w store.Write) error {
	if err := s.check(c); err != nil {
		return err
	}
	return s.faulty.Set(c, w)
}

func (s *sharer) Touch(c context.Context, key []byte, expires, now store.Millis) error {
	if err := s.check(c); err != nil {
		return err
	}
	return s.faulty.Touch(c, key, expires, now)
}

func (s *sharer) Delete(c context.Context, key []byte, now store.Millis) error {
	if err := s.check(c); err != nil {
		return err
	}
	return s.faulty.Delete(c, key, now)
}

func (s *sharer) Clear(c context.Context, now store.Millis) error {
	if err := s.check(c); err != nil {
		return err
	}
	return s.faulty.Clear(c, now)
}

func (s *sharer) Save(c context.Context, now store.Millis) error {
	if err := s.check(c); err != nil {
		return err
	}
	return s.faulty.Save(c, now)
}

func (s *sharer) Sweep(c context.Context, max int, now store.Millis) (int, error) {
	if err := s.check(c); err != nil {
		return 0, err
	}
	return s.faulty.Sweep(c, max, now)
}

func (s *sharer) Keys(c context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	if err := s.check(c); err != nil {
		return func(yield func([]byte, error) bool) { yield(nil, err) }
	}
	return s.faulty.Keys(c, now)
}

func (s *sharer) Snapshot(c context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	if err := s.check(c); err != nil {
		return func(yield func(store.Record, error) bool) { yield(store.Record{}, err) }
	}
	return s.faulty.Snapshot(c, now)
}

func (s *sharer) Restore(c context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	if err := s.check(c); err != nil {
		return err
	}
	return s.faulty.Restore(c, records, now)
}

func (s *sharer) Close(c context.Context) error {
	if s.closed.Swap(true) || s.faulty.close == nil {
		return nil
	}
	return s.faulty.close(s.Memory)
}

// sharing opens hosts over one backend, each with a fault of its own.
func sharing(fault func(b *backend, host int) *faulty) storetest.Open {
	b := &backend{spaces: make(map[string]*store.Memory), hosts: make(map[*store.Memory]int), latest: make(map[*store.Memory]store.Millis)}
	return func(_ context.Context, setup storetest.Setup) (store.Store, error) {
		m, host := b.space(setup.Namespace)
		f := fault(b, host)
		f.Memory = m
		return &sharer{faulty: f}, nil
	}
}

// TestSharedFaults: each fault is found by the checks that it is about and by no other of
// the group, and for each check there is a fault that only this one finds. Nothing that
// one host does alone shows them.
func TestSharedFaults(t *testing.T) {
	alone := []string{"get/again", "set/overwrite-often", "delete/then-set", "expect/replace-chain", "touch/extends", "clear/everything", "sweep/counts", "keys/all", "snapshot/all",
		"expiry/each-its-own", "concurrent/every-increment-counts"}
	var mu sync.Mutex
	only := make(map[string]bool) // checks that were the only one to find something
	t.Run("faults", func(t *testing.T) {
		for _, f := range sharedFaults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				report := storetest.Check(ctx, sharing(f.store), storetest.Options{Shared: true, Only: append([]string{"shared"}, alone...), Sequences: 50, Seed: 1, Dir: t.TempDir()})
				var failed []string
				for _, r := range report.Results {
					if r.Status == storetest.Fail {
						failed = append(failed, r.Name)
					}
				}
				var text strings.Builder
				require.NoError(t, report.WriteText(&text))
				want := strings.Fields(f.checks)
				require.ElementsMatch(t, want, failed, text.String())
				failure := report.Result(want[0]).Failure
				require.Contains(t, failure.Found, f.found)
				require.NotEmpty(t, failure.Expected)
				require.NotEmpty(t, failure.Calls)
				want = slices.DeleteFunc(want, func(name string) bool { return name == "shared/sequences" && len(want) > 1 })
				if mu.Lock(); len(want) == 1 {
					only[want[0]] = true
				}
				mu.Unlock()
			})
		}
	})
	for _, test := range storetest.Tests() {
		if strings.HasPrefix(test.Name, "shared/") {
			require.True(t, only[test.Name], "no fault is found by %s alone", test.Name)
		}
	}
}

// TestSharedDesigns: the whole suite passes over one backend that is never cleared, and the
// group says whose records a host has.
func TestSharedDesigns(t *testing.T) {
	o := storetest.Options{Shared: true, Durable: true, Soak: 2000, Sequences: 20, Seed: 1, Dir: t.TempDir()}
	if raceEnabled {
		o.Skip = []string{"growth", "space", "soak"}
	}
	open := sharing(func(*backend, int) *faulty { return new(faulty) })
	seen := make(map[string]string) // the directory of each namespace
	report := storetest.Check(ctx, func(c context.Context, setup storetest.Setup) (store.Store, error) {
		require.Regexp(t, "^[a-z][a-z0-9]{0,19}$", setup.Namespace)
		seen[setup.Namespace] = setup.Dir
		return open(c, setup)
	}, o)
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Zero(t, report.Failed, text.String())
	for _, r := range report.Results {
		if strings.HasPrefix(r.Name, "shared/") {
			require.Equal(t, storetest.Pass, r.Status, "%s: %s", r.Name, r.Reason)
		}
	}
	for name := range seen {
		for other := range seen {
			require.False(t, name != other && strings.HasPrefix(name, other), "%s begins with %s", name, other)
		}
	}

	// A store without anything optional takes part as well as it can.
	least := storetest.Check(ctx, func(c context.Context, setup storetest.Setup) (store.Store, error) {
		s, err := open(c, setup)
		return plain{s}, err
	}, storetest.Options{Shared: true, Only: []string{"shared"}, Sequences: 20, Seed: 1, Dir: t.TempDir()})
	require.Zero(t, least.Failed)
	require.Equal(t, "the store does not touch", least.Result("shared/touch-beside-writes").Reason)
	require.Equal(t, storetest.Pass, least.Result("shared/delete-wins").Status)
}

// TestSharedIsSaid: the group is for stores that say that they are shared.
func TestSharedIsSaid(t *testing.T) {
	report := storetest.Check(ctx, openMemory, storetest.Options{Only: []string{"shared"}, Dir: t.TempDir()})
	require.Equal(t, report.Skipped, len(report.Results))
	require.Equal(t, "the store is not said to be shared by several hosts", report.Result("shared/writes").Reason)

	// A store that has its records to itself is none.
	report = storetest.Check(ctx, openMemory, storetest.Options{Shared: true, Only: []string{"shared/writes"}, Seed: 1, Dir: t.TempDir()})
	require.Equal(t, 1, report.Failed)
	var text strings.Builder
	require.NoError(t, report.WriteText(&text))
	require.Contains(t, text.String(), "open#2    with the records of #1 -> success")
}

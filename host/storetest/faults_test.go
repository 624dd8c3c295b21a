package storetest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// fault is what a store does wrong, and what must find it.
type fault struct {
	name   string
	store  func() *faulty
	checks []string
	found  string // a part of what the first of them reports
}

// faults lists, for each fault, the checks that must find it. random/sequences,
// the soak and other checks may find it too.
var faults = append([]fault{
	{"get forgets expiry", func() *faulty {
		return &faulty{get: func(m *store.Memory, key []byte, _ store.Millis) ([]byte, error) { return m.Get(ctx, key, 1) }}
	}, []string{"expiry/exact-millisecond", "expiry/each-its-own", "random/sequences"}, "the value"},
	{"get is a millisecond early", func() *faulty {
		return &faulty{get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) { return m.Get(ctx, key, now+1) }}
	}, []string{"expiry/exact-millisecond"}, "NOT_FOUND"},
	{"get is a millisecond late", func() *faulty {
		return &faulty{get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) { return m.Get(ctx, key, now-1) }}
	}, []string{"expiry/exact-millisecond"}, "the value"},
	{"a clock of its own", func() *faulty {
		return &faulty{get: func(m *store.Memory, key []byte, _ store.Millis) ([]byte, error) {
			return m.Get(ctx, key, store.At(time.Now()))
		}}
	}, []string{"expiry/given-clock"}, ""},
	{"an empty value is not found", func() *faulty {
		return &faulty{get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
			v, err := m.Get(ctx, key, now)
			if err == nil && len(v) == 0 {
				return nil, store.ErrNotFound
			}
			return v, err
		}}
	}, []string{"set/empty-value"}, "NOT_FOUND"},
	{"short values are filled up", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			if n := len(w.Value); n > 0 && n < 8 {
				w.Value = append(slices.Clone(w.Value), make([]byte, 8-n)...)
			}
			return m.Set(ctx, w)
		}}
	}, []string{"set/short-values", "expect/short-values"}, "8 bytes instead of 1"},
	{"results share memory", func() *faulty {
		shared := make([]byte, 0, 1<<20)
		var mu sync.Mutex
		return &faulty{get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
			v, err := m.Get(ctx, key, now)
			if err != nil || len(v) > cap(shared) {
				return v, err
			}
			mu.Lock()
			defer mu.Unlock()
			return append(shared[:0], v...), nil
		}}
	}, []string{"get/result-is-the-callers"}, "the value returned earlier"},
	{"keys end at a NUL", func() *faulty {
		cut := func(key []byte) []byte {
			if i := bytes.IndexByte(key, 0); i > 0 {
				return key[:i]
			}
			return key
		}
		return &faulty{
			get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) { return m.Get(ctx, cut(key), now) },
			set: func(m *store.Memory, w store.Write) error { w.Key = cut(w.Key); return m.Set(ctx, w) },
		}
	}, []string{"key/nul"}, "the value"},
	{"keys without case", func() *faulty {
		return &faulty{
			get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
				return m.Get(ctx, bytes.ToLower(key), now)
			},
			set: func(m *store.Memory, w store.Write) error { w.Key = bytes.ToLower(w.Key); return m.Set(ctx, w) },
		}
	}, []string{"key/case"}, "the value"},
	{"create-only overwrites", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			if w.Expect == store.Absent {
				w.Expect = store.Any
			}
			return m.Set(ctx, w)
		}}
	}, []string{"expect/create-only", "concurrent/one-creates"}, "success"},
	{"a revision of 32 bits", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			if w.Expect > 0 {
				if v, err := m.Get(ctx, w.Key, w.Now); err == nil && uint32(abi.Revision(v)) == uint32(w.Expect) {
					w.Expect = int64(abi.Revision(v))
				}
			}
			return m.Set(ctx, w)
		}}
	}, []string{"expect/other-revision", "expect/every-byte"}, "success"},
	{"a big-endian revision", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			if v, err := m.Get(ctx, w.Key, w.Now); err == nil && w.Expect != store.Any && w.Expect != store.Absent && len(v) >= 8 {
				if binary.BigEndian.Uint64(v) != uint64(w.Expect) {
					return store.ErrConflict
				}
				w.Expect = store.Any
			}
			return m.Set(ctx, w)
		}}
	}, []string{"expect/replace", "expect/every-byte", "expect/high-revisions"}, "CONFLICT"},
	{"negative revisions are absent", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			if w.Expect < 0 {
				w.Expect = store.Absent
			}
			return m.Set(ctx, w)
		}}
	}, []string{"expect/high-revisions"}, "CONFLICT"},
	{"a conflict stores", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			err := m.Set(ctx, w)
			if err != nil {
				w.Expect = store.Any
				_ = m.Set(ctx, w)
			}
			return err
		}}
	}, []string{"expect/create-only", "expect/conflict-keeps-the-value"}, "the value"},
	{"a conflict changes the expiry", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			err := m.Set(ctx, w)
			if err != nil && w.Expires > w.Now {
				_ = m.Touch(ctx, w.Key, w.Expires, w.Now)
			}
			return err
		}}
	}, []string{"expect/conflict-keeps-the-expiry"}, ""},
	{"compare and store are two steps", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			if w.Expect == store.Any {
				return m.Set(ctx, w)
			}
			v, err := m.Get(ctx, w.Key, w.Now)
			switch {
			case w.Expect == store.Absent && err == nil, w.Expect != store.Absent && (err != nil || abi.Revision(v) != uint64(w.Expect)):
				return store.ErrConflict
			}
			time.Sleep(time.Microsecond)
			w.Expect = store.Any
			return m.Set(ctx, w)
		}}
	}, []string{"concurrent/every-increment-counts", "concurrent/one-creates"}, ""},
	{"a past write creates", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			if w.Expires != 0 && w.Expires <= w.Now {
				w.Expires = w.Now + 1
			}
			return m.Set(ctx, w)
		}}
	}, []string{"expiry/write-removes", "expiry/write-creates-nothing"}, "the value"},
	{"a past write ignores the condition", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			if w.Expires != 0 && w.Expires <= w.Now {
				return m.Delete(ctx, w.Key, w.Now)
			}
			return m.Set(ctx, w)
		}}
	}, []string{"expiry/write-removes-on-condition"}, "success"},
	{"set keeps the expiry", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			for r := range m.Snapshot(ctx, w.Now) {
				if bytes.Equal(r.Key, w.Key) && w.Expires > w.Now {
					w.Expires = r.Expires
				}
			}
			return m.Set(ctx, w)
		}}
	}, []string{"expiry/set-replaces-it"}, ""},
	{"touch creates", func() *faulty {
		return &faulty{touch: func(m *store.Memory, key []byte, expires, now store.Millis) error {
			err := m.Touch(ctx, key, expires, now)
			if err != nil {
				_ = m.Set(ctx, store.Write{Key: key, Expires: expires, Now: now})
			}
			return err
		}}
	}, []string{"touch/never-creates", "expiry/absent-for-touch"}, "the value"},
	{"touch brings back", func() *faulty {
		return &faulty{touch: func(m *store.Memory, key []byte, expires, now store.Millis) error {
			return m.Touch(ctx, key, expires, 1)
		}}
	}, []string{"expiry/absent-for-touch"}, "success"},
	{"touch with a past expiry does nothing", func() *faulty {
		return &faulty{touch: func(m *store.Memory, key []byte, expires, now store.Millis) error {
			if expires != 0 && expires <= now {
				_, err := m.Get(ctx, key, now)
				return err
			}
			return m.Touch(ctx, key, expires, now)
		}}
	}, []string{"touch/past-removes"}, "the value"},
	{"touch changes the revision", func() *faulty {
		return &faulty{touch: func(m *store.Memory, key []byte, expires, now store.Millis) error {
			v, err := m.Get(ctx, key, now)
			if err == nil && len(v) > 0 {
				v[0]++
				_ = m.Set(ctx, store.Write{Key: key, Value: v, Now: now})
			}
			return m.Touch(ctx, key, expires, now)
		}}
	}, []string{"touch/keeps-the-value", "touch/extends"}, "differs from byte 0"},
	{"touch is always for ever", func() *faulty {
		return &faulty{touch: func(m *store.Memory, key []byte, expires, now store.Millis) error {
			if expires > now {
				expires = 0
			}
			return m.Touch(ctx, key, expires, now)
		}}
	}, []string{"touch/extends", "touch/shortens"}, "the value"},
	{"deleting nothing is an error", func() *faulty {
		return &faulty{delete: func(m *store.Memory, key []byte, now store.Millis) error {
			if _, err := m.Get(ctx, key, now); err != nil {
				return err
			}
			return m.Delete(ctx, key, now)
		}}
	}, []string{"delete/absent"}, "NOT_FOUND"},
	{"delete takes a neighbour along", func() *faulty {
		return &faulty{delete: func(m *store.Memory, key []byte, now store.Millis) error {
			_ = m.Delete(ctx, append(slices.Clone(key), '0'), now)
			return m.Delete(ctx, key, now)
		}}
	}, []string{"delete/neighbours"}, "NOT_FOUND"},
	{"clear leaves one", func() *faulty {
		return &faulty{clear: func(m *store.Memory, now store.Millis) error {
			for r := range m.Snapshot(ctx, now) {
				_ = m.Clear(ctx, now)
				return m.Set(ctx, store.Write{Key: r.Key, Value: r.Value, Now: now})
			}
			return nil
		}}
	}, []string{"clear/everything", "clear/usable-after"}, ""},
	{"save drops what lives", func() *faulty {
		return &faulty{save: func(m *store.Memory, now store.Millis) error { return m.Save(ctx, now+1) }}
	}, []string{"save/expired-stays-absent"}, "NOT_FOUND"},
	{"sweep removes what lives", func() *faulty {
		return &faulty{sweep: func(m *store.Memory, max int, now store.Millis) (int, error) { return m.Sweep(ctx, max, now+1) }}
	}, []string{"sweep/nothing-to-do", "sweep/between-writes"}, "records removed"},
	{"sweep counts what it looks at", func() *faulty {
		return &faulty{sweep: func(m *store.Memory, max int, now store.Millis) (int, error) {
			n := m.Len()
			_, err := m.Sweep(ctx, max, now)
			return n, err
		}}
	}, []string{"sweep/counts", "sweep/nothing-to-do"}, ""},
	{"sweep always begins anew", func() *faulty {
		return &faulty{sweep: func(m *store.Memory, max int, now store.Millis) (int, error) { return 0, nil }}
	}, []string{"sweep/counts", "sweep/small-steps"}, "0 records removed"},
	{"keys miss one", func() *faulty {
		return &faulty{keys: func(m *store.Memory, now store.Millis) iter.Seq2[[]byte, error] {
			return func(yield func([]byte, error) bool) {
				i := 0
				for key, err := range m.Keys(ctx, now) {
					if i++; i%64 != 0 && !yield(key, err) {
						return
					}
				}
			}
		}}
	}, []string{"keys/all", "keys/many"}, "is missing"},
	{"keys list the expired", func() *faulty {
		return &faulty{keys: func(m *store.Memory, now store.Millis) iter.Seq2[[]byte, error] { return m.Keys(ctx, 1) }}
	}, []string{"expiry/absent-in-keys"}, "which is not stored"},
	{"a snapshot without expiry", func() *faulty {
		return &faulty{snapshot: func(m *store.Memory, now store.Millis) iter.Seq2[store.Record, error] {
			return mapped(m, now, func(_ int, r store.Record) (store.Record, bool) { r.Expires = 0; return r, true })
		}}
	}, []string{"snapshot/all", "restore/into-another"}, "the expiry never"},
	{"a snapshot without empty values", func() *faulty {
		return &faulty{snapshot: func(m *store.Memory, now store.Millis) iter.Seq2[store.Record, error] {
			return mapped(m, now, func(_ int, r store.Record) (store.Record, bool) { return r, len(r.Value) > 0 })
		}}
	}, []string{"snapshot/all"}, "is missing"},
	{"restore keeps what is there", func() *faulty {
		return &faulty{restore: func(m *store.Memory, records iter.Seq2[store.Record, error], now store.Millis) error {
			for r, err := range records {
				if err == nil {
					err = m.Set(ctx, store.Write{Key: r.Key, Value: r.Value, Expires: r.Expires, Now: now, Expect: store.Absent})
				}
				if err != nil && err != store.ErrConflict {
					return err
				}
			}
			return nil
		}}
	}, []string{"restore/over-what-is-there"}, "NOT_FOUND"},
	{"restoring the expired removes", func() *faulty {
		return &faulty{restore: func(m *store.Memory, records iter.Seq2[store.Record, error], now store.Millis) error {
			for r, err := range records {
				if err == nil {
					err = m.Set(ctx, store.Write{Key: r.Key, Value: r.Value, Expires: r.Expires, Now: now})
				}
				if err != nil {
					return err
				}
			}
			return nil
		}}
	}, []string{"restore/leaves-out-the-expired"}, "NOT_FOUND"},
	{"restore swallows errors", func() *faulty {
		return &faulty{restore: func(m *store.Memory, records iter.Seq2[store.Record, error], now store.Millis) error {
			_ = m.Restore(ctx, records, now)
			return nil
		}}
	}, []string{"restore/ends-at-an-error"}, "success"},
	{"values above 64 KiB are cut", func() *faulty {
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			w.Value = w.Value[:min(len(w.Value), 1<<16)]
			return m.Set(ctx, w)
		}}
	}, []string{"set/sizes", "limits/largest-value"}, "65536 bytes instead of 65537"},
	{"closing fails", func() *faulty {
		return &faulty{close: func(m *store.Memory) error { _ = m.Close(ctx); return store.ErrInternal }}
	}, []string{"get/not-found", "life/closed"}, "INTERNAL"},
	{"the hundredth call fails", func() *faulty {
		n := 0
		var mu sync.Mutex
		return &faulty{get: func(m *store.Memory, key []byte, now store.Millis) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == 100 {
				return nil, store.ErrUnavailable
			}
			return m.Get(ctx, key, now)
		}}
	}, []string{"get/again", "soak/mixed"}, "UNAVAILABLE"},
	{"an old value after three others", func() *faulty {
		before := map[string][][]byte{}
		var mu sync.Mutex
		return &faulty{set: func(m *store.Memory, w store.Write) error {
			mu.Lock()
			defer mu.Unlock()
			h := append(before[string(w.Key)], w.Value)
			before[string(w.Key)] = h
			if len(h) > 3 {
				w.Value = h[len(h)-3]
			}
			return m.Set(ctx, w)
		}}
	}, []string{"expect/replace-chain", "set/overwrite-often"}, ""},
	{"a panic", func() *faulty {
		return &faulty{get: func(*store.Memory, []byte, store.Millis) ([]byte, error) { panic("a fault for tests") }}
	}, []string{"get/not-found"}, "a fault for tests"},
}, faultsOfCorners...)

// TestFaults: for every fault, the checks that are about it fail and report it.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			report := storetest.Check(ctx, func(context.Context, storetest.Setup) (store.Store, error) {
				s := f.store()
				s.Memory = store.NewMemory()
				return s, nil
			}, storetest.Options{Only: f.checks, Soak: 5000, Seed: 1, Dir: t.TempDir()})
			for i, name := range f.checks {
				result := report.Result(name)
				require.NotNil(t, result, name)
				require.Equal(t, storetest.Fail, result.Status, "%s: %s", name, result.Reason)
				if i == 0 {
					require.Contains(t, result.Failure.Found, f.found)
				}
				require.NotEmpty(t, result.Failure.Expected)
				require.NotEmpty(t, result.Failure.Calls)
			}
		})
	}
}

// TestFaultsInAFullRun: the whole suite over each fault also fails, and the
// checks that are not about it pass.
func TestFaultsInAFullRun(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("a full run for every fault, in which the race detector finds nothing to do")
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			skip := []string{"growth", "limits", "key/many", "random"}
			if !strings.HasPrefix(f.checks[0], "space/") {
				skip = append(skip, "space")
			}
			if f.name == "results share memory" {
				skip = append(skip, "concurrent") // the fault itself would be a race
			}
			report := storetest.Check(ctx, func(context.Context, storetest.Setup) (store.Store, error) {
				s := f.store()
				s.Memory = store.NewMemory()
				return s, nil
			}, storetest.Options{Soak: 2000, Seed: 1, Dir: t.TempDir(), Skip: skip})
			require.Positive(t, report.Failed)
			if f.name != "a panic" && f.name != "closing fails" {
				require.Greater(t, report.Passed, report.Failed, fmt.Sprint(report.Failed))
			}
		})
	}
}

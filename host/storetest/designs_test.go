package storetest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// design is a store that fulfils the contract in its own way. Limits are 0 for
// none.
type design struct {
	*store.Memory
	mu   sync.Mutex
	file string // of a durable store

	purges       bool   // every call removes the records that have expired by then
	records      int    // how many records it holds
	bytes        int    // and how many bytes of values
	makesRoom    string // "oldest", "any", "half", or "" to answer NO_SPACE
	maxKey       int
	maxValue     int
	sweepsSingly bool
	keysTwice    bool // and in random order

	order []string // the oldest first
	upper int      // an upper bound on the bytes that are there
}

func (d *design) called(now store.Millis) {
	for d.purges {
		if n, _ := d.Memory.Sweep(ctx, 1<<20, now); n == 0 {
			return
		}
	}
}

func (d *design) Get(c context.Context, key []byte, now store.Millis) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.called(now)
	return d.Memory.Get(c, key, now)
}

// sizes are the sizes of the values that are there, by key.
func (d *design) sizes(now store.Millis) map[string]int {
	out := make(map[string]int)
	for r, err := range d.Memory.Snapshot(ctx, now) {
		if err == nil {
			out[string(r.Key)] = len(r.Value)
		}
	}
	return out
}

// room makes room for a write, or returns an error if there is none.
func (d *design) room(w store.Write) error {
	if d.records == 0 && d.bytes == 0 {
		return nil
	}
	if d.upper += len(w.Value); len(d.order) < d.records || d.records == 0 && d.upper <= d.bytes {
		d.order = append(d.order, string(w.Key))
		return nil
	}
	held, total := d.sizes(w.Now), 0
	delete(held, string(w.Key))
	for _, size := range held {
		total += size
	}
	named := make(map[string]bool)
	slices.Reverse(d.order) // if a key is there twice, the newest counts
	d.order = slices.DeleteFunc(d.order, func(key string) bool {
		_, there := held[key]
		twice := named[key]
		named[key] = true
		return !there || twice
	})
	slices.Reverse(d.order)
	full := func() bool {
		return d.records > 0 && len(held)+1 > d.records || d.bytes > 0 && total+len(w.Value) > d.bytes
	}
	if full() && (d.makesRoom == "" || d.bytes > 0 && len(w.Value) > d.bytes) {
		return store.ErrNoSpace
	}
	least := len(held) / 2
	for first := true; full() || d.makesRoom == "half" && !first && len(held) > least; first = false {
		i := 0
		if d.makesRoom == "any" {
			i = rand.IntN(len(d.order))
		}
		key := d.order[i]
		d.order = slices.Delete(d.order, i, i+1)
		total -= held[key]
		delete(held, key)
		if err := d.Memory.Delete(ctx, []byte(key), w.Now); err != nil {
			return err
		}
	}
	d.order = append(d.order, string(w.Key))
	d.upper = total + len(w.Value)
	return nil
}

func (d *design) Set(c context.Context, w store.Write) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(w.Key) > cmp.Or(d.maxKey, abi.MaxKey) || len(w.Value) > cmp.Or(d.maxValue, abi.MaxValue) {
		return store.ErrTooLarge
	}
	d.called(w.Now)
	if err := c.Err(); err != nil {
		return d.Memory.Set(c, w)
	}
	// A write that is refused for another reason must not cost another record its
	// place.
	if old, err := d.Memory.Get(c, w.Key, w.Now); w.Expires != 0 && w.Expires <= w.Now || len(w.Key) == 0 ||
		w.Expect == store.Absent && err == nil || w.Expect > 0 && (err != nil || string(old[:min(8, len(old))]) != string(storetest.Value(uint64(w.Expect), 8))) || w.Expect < -1 {
		return d.Memory.Set(c, w)
	}
	if err := d.room(w); err != nil {
		return err
	}
	return d.Memory.Set(c, w)
}

func (d *design) Touch(c context.Context, key []byte, expires, now store.Millis) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.called(now)
	return d.Memory.Touch(c, key, expires, now)
}

func (d *design) Delete(c context.Context, key []byte, now store.Millis) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.called(now)
	return d.Memory.Delete(c, key, now)
}

func (d *design) Sweep(c context.Context, max int, now store.Millis) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sweepsSingly {
		max = 1
	}
	return d.Memory.Sweep(c, max, now)
}

func (d *design) Keys(c context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.called(now)
	if !d.keysTwice {
		return d.Memory.Keys(c, now)
	}
	return func(yield func([]byte, error) bool) {
		var keys [][]byte
		for key, err := range d.Memory.Keys(c, now) {
			if err != nil {
				yield(nil, err)
				return
			}
			keys = append(keys, key, slices.Clone(key))
		}
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for _, key := range keys {
			if !yield(key, nil) {
				return
			}
		}
	}
}

func (d *design) Snapshot(c context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.called(now)
	return d.Memory.Snapshot(c, now)
}

// Restore sets record by record.
func (d *design) Restore(c context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	for r, err := range records {
		if err != nil {
			return err
		}
		if r.Expires != 0 && r.Expires <= now {
			continue
		}
		if err := d.Set(c, store.Write{Key: r.Key, Value: r.Value, Expires: r.Expires, Now: now}); err != nil {
			return err
		}
	}
	return c.Err()
}

func (d *design) Save(c context.Context, now store.Millis) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.called(now)
	if err := d.Memory.Save(c, now); err != nil || d.file == "" {
		return err
	}
	var all []store.Record
	for r, err := range d.Memory.Snapshot(c, now) {
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	b, err := json.Marshal(all)
	return cmp.Or(err, os.WriteFile(d.file, b, 0o600))
}

func (d *design) Close(c context.Context) error {
	if err := d.Save(c, storetest.Now); err != nil && !errors.Is(err, store.ErrClosed) {
		return err
	}
	return d.Memory.Close(c)
}

func (d *design) load() error {
	b, err := os.ReadFile(d.file)
	if err != nil {
		return nil
	}
	var all []store.Record
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	return d.Memory.Restore(ctx, func(yield func(store.Record, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}, 0)
}

// TestConformingDesigns: the suite does not fail what the contract allows.
func TestConformingDesigns(t *testing.T) {
	for _, c := range []struct {
		name    string
		design  func() *design
		durable bool
		options storetest.Options
		held    int // how many records the report says were asked for, at most
	}{
		{"removes what has expired whenever it is called", func() *design { return &design{purges: true} }, true, storetest.Options{}, 0},
		{"evicts the oldest at 200 records", func() *design { return &design{records: 200, makesRoom: "oldest"} }, true, storetest.Options{}, 200},
		{"evicts any at 200 records", func() *design { return &design{records: 200, makesRoom: "any"} }, false, storetest.Options{}, 200},
		{"evicts half at 100 records", func() *design { return &design{records: 100, makesRoom: "half"} }, false, storetest.Options{}, 100},
		{"refuses at 150 records", func() *design { return &design{records: 150} }, true, storetest.Options{}, 150},
		{"refuses at 16 records", func() *design { return &design{records: 16} }, true, storetest.Options{}, 16},
		{"evicts at 16 records", func() *design { return &design{records: 16, makesRoom: "oldest", purges: true} }, true, storetest.Options{}, 16},
		{"evicts at 100,000 bytes", func() *design { return &design{bytes: 100_000, makesRoom: "oldest"} }, false, storetest.Options{Bytes: 100_000}, 2000},
		{"refuses at 40,000 bytes", func() *design { return &design{bytes: 40_000} }, false, storetest.Options{Bytes: 40_000}, 2000},
		{"evicts at 1000 and says so", func() *design { return &design{records: 1000, makesRoom: "any"} }, false, storetest.Options{Records: 1000}, 1000},
		{"takes the minimum that it must", func() *design { return &design{maxKey: 64, maxValue: 4096} }, true, storetest.Options{MaxKey: 64, MaxValue: 4096}, 0},
		{"takes the minimum, and little of it", func() *design { return &design{maxKey: 64, maxValue: 4096, records: 20, makesRoom: "oldest"} }, true,
			storetest.Options{MaxKey: 64, MaxValue: 4096}, 20},
		{"sweeps one at a time", func() *design { return &design{sweepsSingly: true} }, false, storetest.Options{}, 0},
		{"names keys twice and in random order", func() *design { return &design{keysTwice: true} }, false, storetest.Options{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			open := func(_ context.Context, setup storetest.Setup) (store.Store, error) {
				d := c.design()
				d.Memory = store.NewMemory()
				if !c.durable {
					return d, nil
				}
				d.file = filepath.Join(setup.Dir, "records")
				return d, d.load()
			}
			c.options.Dir, c.options.Durable = t.TempDir(), c.durable
			c.options.Soak, c.options.Sequences, c.options.Seed = 2000, 20, 1
			if raceEnabled {
				c.options.Skip = []string{"growth", "space", "soak"} // which one goroutine goes through, for minutes
			}
			report := storetest.Check(ctx, open, c.options)
			var text strings.Builder
			require.NoError(t, report.WriteText(&text))
			require.Zero(t, report.Failed, text.String())
			if c.held == 0 {
				require.Zero(t, report.Records, "it holds whatever it is given")
				for _, r := range report.Results {
					require.NotContains(t, r.Reason, "not asked: the store holds")
				}
			} else {
				require.Positive(t, report.Records)
				require.LessOrEqual(t, report.Records, c.held)
			}
		})
	}
}

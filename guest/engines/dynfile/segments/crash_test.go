package segments_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// world runs random operations on a store and knows what may be found after a
// crash: for each key, its state at the last save and every state since.
type world struct {
	t       testing.TB
	disk    *crash.Disk
	store   *segments.Store
	options func(*segments.Options)
	rng     *rand.Rand
	keys    int
	largest int
	saving  int // operations between saves

	now, latest int64
	serial      int
	history     map[string][]state // the last is the current one

	// unsure holds the keys of which a crash left nothing visible, but perhaps
	// something expired: a clock that goes back may show it.
	unsure map[string]bool
}

type state struct {
	value   string // "" means none
	expires int64
}

const hour = 3_600_000

func (w *world) open() {
	s, err := tryOpen(w.disk, w.options)
	require.NoError(w.t, err)
	w.store = s
}

func (w *world) current(key string) state {
	h := w.history[key]
	if len(h) == 0 {
		return state{}
	}
	return h[len(h)-1]
}

func (w *world) value() string {
	w.serial++
	head := fmt.Sprintf("%08d.", w.serial)
	return head + strings.Repeat("x", w.rng.IntN(w.largest))
}

// try does an operation that brings a key into a state. It returns whether the
// machine still runs.
func (w *world) try(key string, next state, op func() error) bool {
	if len(w.history[key]) == 0 {
		w.settle(key, state{})
	}
	w.history[key] = append(w.history[key], next)
	unsure := w.unsure[key]
	delete(w.unsure, key)
	err := op()
	switch {
	case err == nil:
		return true
	case w.disk.Off():
		return false
	case errors.Is(err, guest.ErrNoSpace), errors.Is(err, guest.ErrUnavailable), errors.Is(err, guest.ErrDenied):
		// A failed operation has changed nothing.
		w.history[key] = w.history[key][:len(w.history[key])-1]
		w.unsure[key] = unsure
		return true
	}
	require.NoError(w.t, err)
	return false
}

// step does a random operation.
func (w *world) step() bool {
	switch w.rng.IntN(30) {
	case 0:
		w.now += int64(w.rng.IntN(2 * hour))
	case 1:
		w.now -= int64(w.rng.IntN(hour / 4))
	}
	w.now = max(w.now, w.latest-hour/2, 1)
	w.latest = max(w.latest, w.now)
	key := fmt.Sprintf("key-%d", w.rng.IntN(w.keys))
	expires := int64(0)
	if w.rng.IntN(4) > 0 {
		expires = w.latest + 1 + int64(w.rng.IntN(20*hour))
	}
	switch op := w.rng.IntN(100); {
	case op < 60:
		value := w.value()
		return w.try(key, state{value, expires}, func() error {
			return w.store.Set(guest.Write{Key: []byte(key), Value: []byte(value), Expires: expires, Now: w.now})
		})
	case op < 75:
		return w.try(key, state{}, func() error { return w.store.Delete([]byte(key), w.now) })
	case op < 85:
		is := w.current(key)
		if w.unsure[key] || is.value == "" || guest.Expired(is.expires, w.latest) {
			return true
		}
		return w.try(key, state{is.value, expires}, func() error { return w.store.Touch([]byte(key), expires, w.now) })
	case op < 90:
		w.look(key)
	case op < 93:
		_, err := w.store.Sweep(20, w.now)
		return err == nil || !w.disk.Off()
	case op == 93 && w.rng.IntN(20) == 0:
		unsure := w.unsure
		w.unsure = make(map[string]bool)
		for key := range w.history {
			w.history[key] = append(w.history[key], state{})
		}
		err := w.store.Clear(w.now)
		if err != nil && !w.disk.Off() {
			w.unsure = unsure
			for key := range w.history {
				w.history[key] = w.history[key][:len(w.history[key])-1]
			}
			return true
		}
		return err == nil
	}
	if w.rng.IntN(w.saving) == 0 {
		if err := w.store.Save(w.now); err != nil {
			return !w.disk.Off()
		}
		for key := range w.history {
			if !w.unsure[key] {
				w.settle(key, w.current(key))
			}
		}
	}
	return true
}

func (w *world) settle(key string, is state) {
	w.history[key] = []state{is}
	delete(w.unsure, key)
}

// look compares a key with what it must be.
func (w *world) look(key string) {
	got, err := w.store.Get([]byte(key), w.now)
	if w.disk.Off() {
		return
	}
	allowed := []state{w.current(key)}
	if w.unsure[key] {
		allowed = w.history[key]
	}
	w.allow(key, allowed, string(got), err)
}

// allow fails the test unless the result is one of some states.
func (w *world) allow(key string, allowed []state, got string, err error) {
	w.t.Helper()
	if err == nil && got == "" {
		require.Fail(w.t, "found an empty value, but none was stored")
	}
	if err != nil {
		require.ErrorIs(w.t, err, guest.ErrNotFound)
	}
	for _, a := range allowed {
		if a.value == got && (a.value == "" || !guest.Expired(a.expires, w.now)) {
			return
		}
		if got == "" && guest.Expired(a.expires, w.latest) {
			return
		}
	}
	if got == "" {
		got = "nothing          "
	}
	var may []string
	for _, a := range allowed {
		may = append(may, fmt.Sprintf("%.9s until %d", a.value, a.expires))
	}
	require.Failf(w.t, "not what was stored", "%s is %.9s at %d, want one of %v", key, got, w.now, may)
}

// restart opens the store again after a crash and checks everything. What is
// found must stay from then on, whatever happens.
func (w *world) restart(power bool) {
	w.open()
	require.NoError(w.t, w.store.Verify())
	for key, history := range w.history {
		got, err := w.store.Get([]byte(key), w.now)
		if !power && !w.unsure[key] {
			history = history[max(0, len(history)-2):] // the last operation may not have been done
		}
		w.allow(key, history, string(got), err)
		found := state{}
		if err == nil {
			at := slices.IndexFunc(history, func(s state) bool { return s.value == string(got) && !guest.Expired(s.expires, w.now) })
			found = history[at]
			found.expires = w.expiryOf(key)
			require.True(w.t, slices.Contains(history, found), "an expiry that was never set")
		} else {
			left := slices.DeleteFunc(slices.Clone(history), func(s state) bool {
				return s.value != "" && !guest.Expired(s.expires, w.latest)
			})
			if len(left) > 1 {
				w.history[key], w.unsure[key] = left, true
				continue
			}
			found = left[0]
		}
		w.settle(key, found)
	}
}

// expiryOf returns a key's expiry according to a snapshot.
func (w *world) expiryOf(key string) int64 {
	expires, ok := w.store.ExpiryOf([]byte(key))
	require.True(w.t, ok)
	return expires
}

// newWorld returns one whose store keeps sessions in memory, if the seed is odd.
func newWorld(t testing.TB, seed uint64, change func(*segments.Options)) *world {
	options := func(o *segments.Options) {
		o.CacheBytes = int64(seed%2) * segments.MinCache
		change(o)
	}
	w := &world{
		t: t, disk: crash.New(), options: options, rng: rand.New(rand.NewPCG(seed, 3)),
		keys: 25, largest: 4000, saving: 3, now: 10 * hour, history: make(map[string][]state), unsure: make(map[string]bool),
	}
	w.latest = w.now
	return w
}

// TestRandomHistories mixes everything with kills and power losses at random.
func TestRandomHistories(t *testing.T) {
	tests := []struct {
		name          string
		keys, largest int
		saving        int
		options       func(*segments.Options)
	}{
		{"few keys, saved often", 8, 3000, 1, func(*segments.Options) {}},
		{"few keys, saved rarely", 8, 3000, 40, func(*segments.Options) {}},
		{"many keys", 400, 600, 4, func(*segments.Options) {}},
		{"all sizes", 30, 40_000, 4, func(*segments.Options) {}},
		{"small records", 60, 20, 5, func(*segments.Options) {}},
		{"little space", 1500, 6000, 4, func(o *segments.Options) { o.MaxBytes = segments.MinBytes }},
		{"few files", 300, 3000, 10, func(o *segments.Options) { o.MaxOpen = 4 }},
	}
	for n, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			seeds := uint64(6)
			if testing.Short() {
				seeds = 3
			}
			for seed := range seeds {
				w := newWorld(t, uint64(n)<<32|seed, test.options)
				w.keys, w.largest, w.saving = test.keys, test.largest, test.saving
				w.open()
				for range 14 {
					if w.rng.IntN(2) == 0 {
						w.disk.CutAt(1 + w.rng.IntN(900))
					}
					for range 700 {
						if !w.step() {
							break
						}
					}
					if !w.disk.Off() {
						require.NoError(t, w.store.Verify())
					}
					if w.rng.IntN(3) == 0 {
						w.disk.Kill(crash.Some(w.rng))
						w.restart(false)
					} else {
						w.disk.Restart(w.survival())
						w.restart(true)
					}
				}
			}
		})
	}
}

func (w *world) survival() crash.Survival {
	switch w.rng.IntN(8) {
	case 0:
		return crash.Nothing
	case 1:
		return crash.Everything
	case 2:
		return crash.NamesOnly
	case 3:
		return crash.DataOnly
	case 4:
		return crash.Lengths
	}
	return crash.Some(w.rng)
}

// TestPowerCutAtEveryChange runs the same workload again and again and cuts the
// power at its first change, its second, and so on.
func TestPowerCutAtEveryChange(t *testing.T) {
	const steps = 350
	run := func(cut int) *world {
		w := newWorld(t, 5, func(o *segments.Options) { o.CacheBytes *= int64(cut % 2) })
		w.disk.CutAt(cut)
		s, err := tryOpen(w.disk, w.options)
		if err != nil {
			require.True(t, w.disk.Off(), "%v", err)
			return w
		}
		w.store = s
		for range steps {
			if !w.step() {
				return w
			}
		}
		return w
	}
	changes := 1
	for cut := 1; ; cut++ {
		survivals := []crash.Survival{
			crash.Nothing, crash.Everything, crash.NamesOnly, crash.DataOnly, crash.Lengths,
			crash.Some(rand.New(rand.NewPCG(uint64(cut), 1))), crash.Some(rand.New(rand.NewPCG(uint64(cut), 2))),
		}
		if os.Getenv("DYNFILE_EVERY_SURVIVAL") == "" {
			survivals = []crash.Survival{survivals[cut%7], survivals[(cut+3)%7]} // all of them would take minutes
		}
		for _, survival := range survivals {
			w := run(cut)
			if !w.disk.Off() {
				require.Greater(t, changes, 300)
				require.NotZero(t, w.store.Stats().Compacted, "the workload is too small")
				require.NotZero(t, w.store.Stats().Copied)
				t.Logf("%d changes", changes)
				return
			}
			w.disk.Restart(survival)
			w.restart(true)
			// Then a second time, while everything that was found is still
			// there.
			w.disk.Restart(crash.Nothing)
			w.restart(true)
		}
		changes = cut
	}
}

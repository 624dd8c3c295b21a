package plugin_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// Actions of the guest of shares.wat, by the time of a get.
const (
	shareWork store.Millis = iota
	shareTrap
	shareLoop
	shareRecurse
	shareExit
	shareClose
	shareRenumber
	shareFlags
	shareGrow
	shareGrowAll
	shareGrowAllAndTrap
	shareWritePages
	shareWait
	shareHalfLine
	shareLine
	shareBadCode
	shareAllocTraps
	shareAllocBeyond
	shareBeyond
	shareLastByte
)

const (
	sharePages    = 4  // of the guest at first
	shareMaxPages = 16 // that it may have
)

// sharedConfig is a config of plugins that take turns on executors.
func sharedConfig(h *plugin.Host, c *clock, name string) plugin.Config {
	config := untrusted()
	config.Host, config.Name, config.Now, config.Lazy = h, name, c.Now, true
	config.GuestConfig = map[string]string{"filler": strings.Repeat("x", 80)}
	config.MemoryLimit, config.Fuel, config.FuelRate = shareMaxPages<<16, 1<<21, -1
	config.Shared = true
	return config
}

// sharer is a plugin, and what its guest must say if nobody else has changed its state.
type sharer struct {
	p      *plugin.Plugin
	number int64
	pages  int32
	calls  int32
}

func (s *sharer) begins() { s.number, s.pages, s.calls = 0, sharePages, 0 }

func openSharers(t testing.TB, h *plugin.Host, clock *clock, n int, change func(i int, c *plugin.Config)) []*sharer {
	m, err := h.Compile(ctx, guest(t, "shares"), sharedConfig(h, clock, "shared"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	all := make([]*sharer, n)
	for i := range all {
		config := sharedConfig(h, clock, fmt.Sprint("tenant-", i))
		if change != nil {
			change(i, &config)
		}
		p, err := m.Open(ctx, config)
		require.NoError(t, err)
		t.Cleanup(func() { _ = p.Close(ctx) })
		all[i] = &sharer{p: p}
		all[i].begins()
	}
	return all
}

// does makes one call and compares what the guest says.
func (s *sharer) does(act store.Millis, clock *clock) error {
	value, err := s.p.Get(ctx, key, act)
	var kind error
	switch act {
	case shareTrap, shareGrowAllAndTrap:
		kind = plugin.ErrTrap
	case shareLoop:
		kind = plugin.ErrFuel
	case shareRecurse:
		kind = plugin.ErrDepth
	case shareExit:
		kind = plugin.ErrExit
	case shareBeyond:
		kind = plugin.ErrMemory
	}
	if kind != nil {
		if !errors.Is(err, kind) {
			return fmt.Errorf("%w: must be %w", err, kind)
		}
		s.begins()
		clock.advance(time.Minute) // it is no longer in backoff
		return nil
	}
	s.calls++
	switch act {
	case shareGrow, shareBadCode, shareLastByte:
		s.pages = min(s.pages+1, shareMaxPages)
	case shareGrowAll:
		s.pages = shareMaxPages
	}
	if act == shareBadCode {
		if !errors.Is(err, store.ErrInternal) {
			return fmt.Errorf("%w: must be %w", err, store.ErrInternal)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return s.compare(value)
}

func (s *sharer) compare(value []byte) error {
	want := binary.LittleEndian.AppendUint64(nil, 1)
	want = binary.LittleEndian.AppendUint64(want, uint64(s.number))
	want = binary.LittleEndian.AppendUint64(want, uint64(s.number))
	want = binary.LittleEndian.AppendUint32(want, uint32(s.number))
	want = binary.LittleEndian.AppendUint64(want, math.Float64bits(float64(s.number)))
	want = binary.LittleEndian.AppendUint32(want, math.Float32bits(float32(s.number)))
	want = binary.LittleEndian.AppendUint32(want, uint32(s.pages))
	want = binary.LittleEndian.AppendUint32(want, uint32(s.calls))
	if string(value) != string(want) {
		return fmt.Errorf("%s says %x: must say %x", s.p.Name(), value, want)
	}
	return nil
}

func (s *sharer) sets(n int64) error {
	value := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 1), uint64(n))
	if err := s.p.Set(ctx, store.Write{Key: key, Value: value, Now: 1}); err != nil {
		return err
	}
	s.number = n
	return nil
}

// Guests on the same executors change their memories and globals, grow, trap, loop, exit, close
// what they have, and sleep, in any order. None finds anything of another, or loses what it
// has unless it failed itself.
func TestSharedGuestsSeeNothingOfEachOther(t *testing.T) {
	acts := []store.Millis{shareWork, shareWork, shareWork, shareTrap, shareLoop, shareRecurse, shareExit, shareClose, shareRenumber, shareFlags,
		shareGrow, shareGrow, shareGrowAll, shareGrowAllAndTrap, shareWritePages, shareWait, shareHalfLine, shareLine, shareBadCode, shareBeyond, shareLastByte}
	h := hosted(t, plugin.HostConfig{})
	clock := newClock()
	all := openSharers(t, h, clock, 40, nil)
	const parts = 4
	errs := make([]error, parts)
	var wait sync.WaitGroup
	for part := range parts {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(part)))
			mine := all[part*len(all)/parts : (part+1)*len(all)/parts]
			for step := range 500 {
				s := mine[random.IntN(len(mine))]
				act, err := store.Millis(-1), error(nil)
				switch random.IntN(4) {
				case 0:
					err = s.sets(random.Int64() - math.MaxInt64/2)
				case 1:
					err = s.p.Sleep(ctx)
				default:
					act = acts[random.IntN(len(acts))]
					err = s.does(act, clock)
				}
				if err != nil {
					errs[part] = fmt.Errorf("step %d, action %d: %w", step, act, err)
					return
				}
			}
		})
	}
	wait.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, s := range all {
		require.NoError(t, s.does(shareWork, clock))
	}
}

// What a guest does to its descriptors is not seen by the next one on its executor: each still
// writes to its own log.
func TestSharedGuestsHaveTheirOwnStreams(t *testing.T) {
	var log logBuffer
	h := hosted(t, plugin.HostConfig{})
	clock := newClock()
	all := openSharers(t, h, clock, 12, func(_ int, c *plugin.Config) { c.Logger = log.logger() })
	for i, s := range all {
		if i%2 == 0 {
			require.NoError(t, s.does([]store.Millis{shareClose, shareRenumber, shareFlags, shareHalfLine}[i/2%4], clock))
		}
	}
	for i, s := range all {
		if i%2 == 1 {
			require.NoError(t, s.does(shareLine, clock))
			require.Equal(t, 1, strings.Count(log.String(), fmt.Sprintf("msg=%q plugin=%s shard=0 source=stdout", "line of the guest", s.p.Name())), s.p.Name())
		}
	}
	require.NoError(t, all[6].does(shareLine, clock))
	require.Contains(t, log.String(), `msg="lineline of the guest" plugin=tenant-6 shard=0 source=stdout`, "half a line waits for the guest that wrote it")
}

// A guest that fails while the host prepares a call, not within it, is treated like any other.
func TestSharedGuestsThatFailInAlloc(t *testing.T) {
	for act, kind := range map[store.Millis]error{shareAllocTraps: plugin.ErrTrap, shareAllocBeyond: plugin.ErrMemory} {
		h := hosted(t, plugin.HostConfig{})
		clock := newClock()
		all := openSharers(t, h, clock, 4, nil)
		for i, s := range all {
			require.NoError(t, s.sets(int64(i)))
		}
		require.NoError(t, all[0].does(act, clock))
		large := append(make([]byte, 16), make([]byte, 30_000)...)
		require.ErrorIs(t, all[0].p.Set(ctx, store.Write{Key: key, Value: large, Now: 1}), kind)
		all[0].begins()
		for _, s := range all[1:] {
			require.NoError(t, s.does(shareWork, clock))
		}
		clock.advance(time.Minute)
		for _, s := range all {
			require.NoError(t, s.does(shareWork, clock))
			require.NoError(t, s.p.Set(ctx, store.Write{Key: key, Value: large, Now: 1}), "each has a buffer of its own")
			s.number = 0
			require.NoError(t, s.does(shareWork, clock))
		}
	}
}

// Memory beyond the limit is refused on a shared executor as on another, counts for who asked,
// and only there.
func TestSharedGuestsThatGrow(t *testing.T) {
	h := hosted(t, plugin.HostConfig{})
	clock := newClock()
	all := openSharers(t, h, clock, 6, nil)
	for range 3 {
		require.NoError(t, all[0].does(shareGrowAll, clock))
		for _, s := range all[1:] {
			require.NoError(t, s.does(shareWork, clock))
		}
	}
	require.EqualValues(t, 3, all[0].p.Stats().Limits[plugin.LimitMemory])
	require.EqualValues(t, shareMaxPages<<16, all[0].p.Stats().Memory)
	for _, s := range all[1:] {
		require.Empty(t, s.p.Stats().Limits)
	}
	_, err := all[0].p.Get(ctx, key, shareGrowAllAndTrap)
	require.ErrorIs(t, err, plugin.ErrTrap)
	var e *plugin.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, plugin.LimitMemory, e.Limit)
	require.EqualValues(t, shareMaxPages<<16, e.Allowed)
	for _, s := range all[1:] {
		require.NoError(t, s.does(shareWork, clock))
	}
}

// Guests that write to all pages before each sleep make it as dear as they can. What the host
// keeps of them counts against its memory: where there is no room, they do not sleep, and
// nobody loses anything.
func TestSharedGuestsThatDefeatSleep(t *testing.T) {
	const n = 32
	h := hosted(t, plugin.HostConfig{Memory: n * shareMaxPages << 16})
	clock := newClock()
	all := openSharers(t, h, clock, n, nil)
	for i, s := range all {
		require.NoError(t, s.sets(int64(i)))
		require.NoError(t, s.does(shareGrowAll, clock))
	}
	for range 3 {
		for _, s := range all {
			require.NoError(t, s.does(shareWritePages, clock))
		}
		for _, s := range all {
			if err := s.p.Sleep(ctx); err != nil {
				require.ErrorIs(t, err, plugin.ErrBudget)
			}
			require.LessOrEqual(t, h.Stats().Memory.Used, h.Stats().Memory.Limit)
		}
		for _, s := range all {
			require.NoError(t, s.does(shareWork, clock))
		}
	}
}

// Guests fail and are made anew while the host is short of memory, counts what others have and puts
// them to sleep. Whoever is refused is told so, and the rest find what they had.
func TestSharedGuestsThatFailUnderPressure(t *testing.T) {
	const n, parts = 48, 6
	h := hosted(t, plugin.HostConfig{Memory: 2 * shareMaxPages << 16})
	clock := newClock()
	all := openSharers(t, h, clock, n, nil)
	acts := []store.Millis{shareWork, shareWork, shareTrap, shareGrowAllAndTrap, shareExit, shareWritePages}
	allowed := []error{plugin.ErrTrap, plugin.ErrExit, plugin.ErrBackoff, plugin.ErrBudget}
	errs := make([]error, parts)
	var refused atomic.Int64
	var wait sync.WaitGroup
	for part := range parts {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(part)))
			for step := range 1000 {
				i := part*n/parts + random.IntN(n/parts)
				s, own := all[i], int64(i+1)
				err := s.sets(own)
				var value []byte
				if err == nil {
					value, err = s.p.Get(ctx, key, acts[random.IntN(len(acts))])
				}
				switch {
				case err == nil && int64(binary.LittleEndian.Uint64(value[8:])) != own:
					err = fmt.Errorf("%s has %x: must have %d", s.p.Name(), value, own)
				case errors.Is(err, plugin.ErrBudget):
					refused.Add(1)
				}
				if err != nil && !slices.ContainsFunc(allowed, func(kind error) bool { return errors.Is(err, kind) }) {
					errs[part] = fmt.Errorf("step %d: %w", step, err)
					return
				}
				clock.advance(time.Minute)
			}
		})
	}
	wait.Wait()
	require.NoError(t, errors.Join(errs...))
	t.Logf("%d calls were refused", refused.Load())
}

// Many guests wake at once, and some fail while they do.
func TestSharedGuestsThatWakeAtOnce(t *testing.T) {
	h := hosted(t, plugin.HostConfig{})
	clock := newClock()
	all := openSharers(t, h, clock, 128, nil)
	for i, s := range all {
		require.NoError(t, s.sets(int64(i)))
	}
	for round := range 5 {
		for _, s := range all {
			require.NoError(t, s.p.Sleep(ctx))
		}
		errs := make([]error, len(all))
		var wait sync.WaitGroup
		for i, s := range all {
			wait.Go(func() {
				act := shareWork
				if (i+round)%7 == 0 {
					act = shareTrap
				}
				errs[i] = s.does(act, clock)
			})
		}
		wait.Wait()
		require.NoError(t, errors.Join(errs...))
	}
}

// Guests that wait, or compute for as long as they may, do not keep a neighbour on the same code
// from being served: its slowest call takes a small part of the time that theirs take together.
func TestSharedGuestsThatKeepTheirExecutors(t *testing.T) {
	for name, act := range map[string]store.Millis{"waiting": shareWait, "looping": shareLoop} {
		t.Run(name, func(t *testing.T) {
			h := hosted(t, plugin.HostConfig{})
			clock := newClock()
			all := openSharers(t, h, clock, 65, func(i int, c *plugin.Config) {
				if i > 0 {
					c.Fuel = plugin.DefaultFuel
				}
			})
			good, bad := all[0], all[1:]
			var ended atomic.Bool
			var wait sync.WaitGroup
			for _, s := range bad {
				s.p.SetDeadline(200 * time.Millisecond)
				wait.Go(func() {
					for !ended.Load() {
						_, _ = s.p.Get(ctx, key, act)
						clock.advance(time.Minute)
					}
				})
			}
			var err error
			var slowest time.Duration
			served := 0
			for began := time.Now(); err == nil && time.Since(began) < 3*time.Second; served++ {
				call := time.Now()
				err = good.does(shareWork, clock)
				slowest = max(slowest, time.Since(call))
			}
			ended.Store(true)
			wait.Wait()
			t.Logf("%d calls beside %d guests, the slowest took %v", served, len(bad), slowest.Round(time.Millisecond))
			require.NoError(t, err)
			require.Less(t, slowest, 2*time.Second, "of the 13 seconds that the others take")
		})
	}
}

// A module whose state cannot be moved does not share, says why, and works.
func TestGuestsThatCannotShare(t *testing.T) {
	for name, act := range map[string]string{"a table that is copied": "table.copy", "a segment that is dropped": "data.drop"} {
		t.Run(name, func(t *testing.T) {
			h := hosted(t, plugin.HostConfig{})
			config := sharedConfig(h, newClock(), "fixed")
			g := tiring{data: 16}
			switch act {
			case "table.copy":
				g.does, g.functions = "i32.const 0 i32.const 0 i32.const 1 table.copy 0 0", []string{""}
			case "data.drop":
				g.does = "data.drop 0"
			}
			p := open(t, g.in(abi.ExportDelete), config)
			require.NoError(t, p.Delete(ctx, key, 1))
			require.False(t, p.Info().Shared)
			require.NotEmpty(t, p.Info().NotShared)
		})
	}
}

package folder_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

func TestWalk(t *testing.T) {
	const n = 3000
	disk := crash.New()
	s := open(t, disk)
	for k := range n {
		size := 300
		if k%500 == 0 {
			size = 100_000 // more than a chunk
		}
		expires := int64(0)
		if k%3 == 0 {
			expires = 10
		}
		require.NoError(t, s.Set(guest.Write{Key: key(k), Value: value(k, size), Expires: expires, Now: 1}))
		if k == n/2 {
			require.NoError(t, s.Save(1))
		}
	}
	for now, want := range map[int64]int{1: n, 10: n - n/3} {
		seen := make(map[string]bool)
		for _, k := range keys(t, s, now) {
			seen[string(k)] = true
		}
		require.Len(t, seen, want)
		other := open(t, crash.New())
		count := 0
		for _, w := range snapshot(t, s, now) {
			count++
			require.NoError(t, other.Set(w))
		}
		require.Equal(t, want, count, "each once")
		for k := range n {
			v := value(k, 300)
			switch {
			case k%3 == 0 && now == 10:
				v = nil
			case k%500 == 0:
				v = value(k, 100_000)
			}
			has(t, other, key(k), v, now)
		}
	}
}

// Keys that stay are listed, whatever else is added or removed during the
// enumeration, even if the instance is another one.
func TestWalkWhileChanging(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	for k := range 3000 {
		set(t, s, key(k), value(1, 50))
	}
	seen := make(map[string]bool)
	h := guest.NewHarness(opened{s}, guest.Info{Name: "keyfolder", CAS: true})
	require.NoError(t, h.Open())
	for cursor, chunk := int64(0), 0; ; chunk++ {
		some, next, err := h.Keys(cursor, 1)
		require.NoError(t, err)
		for _, k := range some {
			seen[string(k)] = true
		}
		if cursor = next; next == 0 {
			break
		}
		for k := chunk * 20; k < chunk*20+20; k++ {
			require.NoError(t, s.Delete(key(1500+k), 1))
			set(t, s, key(10_000+k), value(1, 50))
		}
		if chunk%4 == 0 {
			require.NoError(t, s.Save(1))
			s = open(t, disk)
			h = guest.NewHarness(opened{s}, guest.Info{Name: "keyfolder", CAS: true})
			require.NoError(t, h.Open())
		}
	}
	for k := range 1500 {
		require.Contains(t, seen, name(k))
	}
}

func TestWalkRefusesCursor(t *testing.T) {
	s := open(t, crash.New())
	_, err := s.Keys(new(guest.KeyChunk), 1<<62+1, 1)
	require.ErrorIs(t, err, guest.ErrInvalid)
}

// One call of Sweep is bounded. Enough of them remove everything that has expired
// and nothing else.
func TestSweep(t *testing.T) {
	const n = 600
	disk := crash.New()
	s := open(t, disk)
	for k := range n {
		expires := int64(0)
		if k%2 == 0 {
			expires = 10
		}
		require.NoError(t, s.Set(guest.Write{Key: key(k), Value: value(1, 50), Expires: expires, Now: 1}))
		if k == n/2 {
			require.NoError(t, s.Save(1))
		}
	}
	total, calls := 0, 0
	for total < n/2 {
		before := disk.Calls()
		removed, err := s.Sweep(10, 10)
		require.NoError(t, err)
		require.LessOrEqual(t, removed, 10)
		require.LessOrEqual(t, disk.Calls()-before, 10*8)
		total += removed
		calls++
		require.Less(t, calls, 2000)
	}
	require.Equal(t, n/2, total)
	require.Greater(t, calls, n/10)
	removed, err := s.Sweep(1<<20, 10)
	require.NoError(t, err)
	require.Zero(t, removed)
	require.Equal(t, n/2, sessions(t, disk))
	for k := range n {
		v := value(1, 50)
		if k%2 == 0 {
			v = nil
		}
		has(t, s, key(k), v, 1)
	}
}

// However much a call of Sweep may look at, it makes no more than some hundred calls to
// the host, and goes on in the middle of a directory: all of these are in one.
func TestSweepIsBounded(t *testing.T) {
	const n = 1500
	disk := crash.New()
	s := open(t, disk)
	crowded := keysOfOneLeaf(n)
	for k, key := range crowded {
		require.NoError(t, s.Set(guest.Write{Key: key, Value: value(1, 50), Expires: int64(10 + k%2), Now: 1}))
	}
	require.NoError(t, s.Save(1))
	total := 0
	sweep := func(calls int) {
		for range calls {
			before := disk.Calls()
			removed, err := s.Sweep(1<<30, 10)
			require.NoError(t, err)
			require.Less(t, disk.Calls()-before, 500)
			total += removed
		}
	}
	sweep(1)
	require.Less(t, total, n/4)
	sweep(60)
	require.Equal(t, n/2, total)
	require.Equal(t, n/2, sessions(t, disk))
	for k, key := range crowded {
		v := value(1, 50)
		if k%2 == 0 {
			v = nil
		}
		has(t, s, key, v, 1)
	}
	sweep(2)
	require.NoError(t, s.Clear(1)) // in the middle of the directory
	sweep(100)
	require.ElementsMatch(t, []string{"format", "pending-0"}, tree(t, disk))
}

// keysOfOneLeaf returns keys whose folders lie side by side.
func keysOfOneLeaf(n int) (all [][]byte) {
	for k := 0; len(all) < n; k++ {
		if sum := sha256.Sum256(key(k)); sum[0] == 0xab && sum[1]>>4 == 7 {
			all = append(all, key(k))
		}
	}
	return all
}

// Save makes no expired record durable, but removes it.
func TestSaveDropsWhatHasExpired(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	for k := range 10 {
		require.NoError(t, s.Set(guest.Write{Key: key(k), Value: value(1, 50), Expires: int64(5 + k), Now: 1}))
	}
	require.NoError(t, s.Save(9))
	require.Equal(t, 5, sessions(t, disk), "those of 10 to 14")
	disk.Restart(crash.Nothing)
	s = open(t, disk)
	for k := range 10 {
		v := value(1, 50)
		if k < 5 {
			v = nil
		}
		has(t, s, key(k), v, 1)
	}
}

// What Clear moved aside is removed step by step, also by a later instance.
func TestSweepRemovesWhatWasCleared(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	for k := range 100 {
		set(t, s, key(k), value(1, 50))
	}
	require.NoError(t, s.Save(1))
	require.NoError(t, s.Clear(1))
	require.Empty(t, keys(t, s, 1))
	set(t, s, key(7), value(2, 50))
	_, err := s.Sweep(50, 1)
	require.NoError(t, err)
	require.Greater(t, sessions(t, disk), 50, "in steps")

	disk.Kill(crash.Nothing)
	s = open(t, disk)
	for range 40 {
		_, err = s.Sweep(200, 1)
		require.NoError(t, err)
	}
	require.Equal(t, 1, sessions(t, disk))
	has(t, s, key(7), value(2, 50), 1)
	has(t, s, key(8), nil, 1)
}

// With little room for changed keys, older changes are made durable on the way,
// and their list does not grow for ever.
func TestMaxPending(t *testing.T) {
	disk := crash.New()
	s, err := folder.Open(disk, folder.Options{Shards: 1, MaxPending: 16})
	require.NoError(t, err)
	for k := range 1000 {
		set(t, s, key(k%300), value(k, 50))
	}
	info, err := disk.Stat("pending-0")
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size, int64(32*(4*16+16+1)))
	disk.Restart(crash.Nothing)
	s = open(t, disk)
	kept := len(keys(t, s, 1))
	require.GreaterOrEqual(t, kept, 300-16)
}

package cache_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

func filled(t *testing.T, records int, expires func(n int) int64) *cache.Cache {
	c, err := cache.New(cache.Options{MaxBytes: 8 << 20})
	require.NoError(t, err)
	for n := range records {
		require.NoError(t, c.Set(guest.Write{Key: fmt.Appendf(nil, "%d", n), Value: make([]byte, n%50), Expires: expires(n), Now: 1}))
	}
	return c
}

// An expired record is not listed, even while it is still there.
func TestWalksLeaveOutWhatHasExpired(t *testing.T) {
	const records = 1000
	c := filled(t, records, func(n int) int64 { return []int64{0, 99, 100, 101}[n%4] })
	d := drive(t, c)
	seen := 0
	for cursor := int64(0); ; {
		keys, next := listKeys(t, c, cursor, 100)
		seen += len(keys)
		if cursor = next; next == 0 {
			break
		}
	}
	require.Equal(t, records/2, seen)
	list, next := d.snapshot(0, 100)
	require.Zero(t, next)
	seen = 0
	for {
		_, _, expires, rest, ok := abi.NextRecord(list)
		if !ok {
			break
		}
		require.Contains(t, []int64{0, 101}, expires)
		list = rest
		seen++
	}
	require.Equal(t, records/2, seen)
	require.Equal(t, records, c.Len(), "nothing was removed")
}

// A key that is there throughout must be listed, whatever happens to the others
// between the chunks.
func TestWalksMeetWhatStays(t *testing.T) {
	const records = 20_000
	never := func(int) int64 { return 0 }
	c := filled(t, records, never)
	stays := func(n int) bool { return n%7 == 0 }
	missing := make(map[string]bool)
	for n := range records {
		if stays(n) {
			missing[fmt.Sprint(n)] = true
		}
	}
	chunks, removed := 0, 0
	for cursor := int64(0); ; chunks++ {
		keys, next := listKeys(t, c, cursor, 1)
		for _, key := range keys {
			delete(missing, string(key))
		}
		if cursor = next; next == 0 {
			break
		}
		for range 1500 {
			if !stays(removed) {
				require.NoError(t, c.Delete(fmt.Appendf(nil, "%d", removed), 1))
				require.NoError(t, c.Set(guest.Write{Key: fmt.Appendf(nil, "new %d", removed), Now: 1}))
			}
			removed++
		}
	}
	require.Greater(t, chunks, 3)
	require.Empty(t, missing)
}

// Sweep looks at no more records than it is told to, and starts over at the
// end.
func TestSweepGoesOnWhereItEnded(t *testing.T) {
	c := filled(t, 1000, func(n int) int64 { return int64(n%2) * 100 })
	removed := 0
	for range 20 {
		n, err := c.Sweep(100, 100)
		require.NoError(t, err)
		require.LessOrEqual(t, n, 100)
		removed += n
	}
	require.Equal(t, 500, removed)
	require.Equal(t, 500, c.Len())
	require.NoError(t, c.Verify())
}

func TestRestoreOfWhatIsTooLargeChangesNothing(t *testing.T) {
	c, err := cache.New(cache.Options{MaxBytes: cache.MinBytes})
	require.NoError(t, err)
	list := abi.AppendRecord(nil, []byte("fits"), []byte("value"), 0)
	list = abi.AppendRecord(list, []byte("does not"), make([]byte, c.MaxValue()+1), 0)
	require.ErrorIs(t, drive(t, c).harness.Restore(list, 1), guest.ErrTooLarge)
	require.Zero(t, c.Len())
}

package segments_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
)

// These tests check how space is freed while the disk is full. They fill it at a
// chosen moment, as somebody else may.

// shortage is a store whose first segment is full of sessions that take a kilobyte
// each. The next one, the current one, has so many that it is never worth moving,
// and some for spending the reserve.
type shortage struct {
	t     testing.TB
	disk  *limited
	store *segments.Store
	kept  map[int]bool // of the first segment
	spent int          // sessions deleted for that
}

const (
	kilobyte   = 1 << 10
	mostMoved  = 32 // sessions of that size moved at a time when space is short
	forSpend   = 300
	inTheFirst = "shard-0/00000000.segment"
)

func kilobyteKey(n int) string { return fmt.Sprintf("%06d", n) }

func kilobyteValue(n int) string {
	const size = kilobyte - 40 - 6 // without the header and the key
	return fmt.Sprintf("%0*d", size, n)
}

func newShortage(t testing.TB, segment int64) *shortage {
	disk := newLimited(1 << 30)
	h := &shortage{t: t, disk: disk, kept: map[int]bool{}}
	h.store = open(t, disk, func(o *segments.Options) { o.SegmentBytes = segment })
	first := int((segment - 144) / kilobyte)
	for n := range first + mostMoved + 8 {
		require.NoError(t, h.store.Set(write(kilobyteKey(n), kilobyteValue(n), 0)))
		if n < first {
			h.kept[n] = true
		}
	}
	require.Equal(t, 2, h.store.Stats().Segments)
	for n := range forSpend {
		require.NoError(t, h.store.Set(write("tiny"+decimal(n), "", 0)))
	}
	guest.Logged()
	return h
}

// keep deletes all of the first segment but its last sessions.
func (h *shortage) keep(left int) {
	for n := 0; len(h.kept) > left; n++ {
		if h.kept[n] {
			require.NoError(h.t, h.store.Delete([]byte(kilobyteKey(n)), 1))
			delete(h.kept, n)
		}
	}
}

// fill leaves no room on the disk.
func (h *shortage) fill() { h.disk.blocks = h.disk.used() }

// spend deletes sessions until the reserve is gone.
func (h *shortage) spend() {
	for there(h.t, h.disk, reserve) {
		require.Less(h.t, h.spent, forSpend)
		require.NoError(h.t, h.store.Delete([]byte("tiny"+decimal(h.spent)), 1))
		h.spent++
	}
}

func (h *shortage) sweep(times, max int) {
	for range times {
		_, err := h.store.Sweep(max, 1)
		require.NoError(h.t, err)
	}
}

// requireMoved checks that the first segment is gone, and that everything kept of
// it is there.
func (h *shortage) requireMoved() {
	h.t.Helper()
	_, err := h.disk.Stat(inTheFirst)
	require.Error(h.t, err, "the space of the segment was freed")
	for n := range h.kept {
		requireValue(h.t, h.store, kilobyteKey(n), kilobyteValue(n))
	}
	require.NoError(h.t, h.store.Verify())
}

func (h *shortage) requireWaiting() {
	h.t.Helper()
	_, err := h.disk.Stat(inTheFirst)
	require.NoError(h.t, err, "the segment is still there")
	require.Zero(h.t, h.store.Stats().Compacted)
	require.False(h.t, there(h.t, h.disk, reserve))
}

// TestSmallMovesWhileShort: the remaining room of the reserve is not for copying a
// segment of which much is needed. A segment of which little is needed frees more
// than it takes, and is moved even if it would not be worth it at other times.
func TestSmallMovesWhileShort(t *testing.T) {
	for _, segment := range []int64{segments.MinSegment, 1 << 20} {
		for left, moved := range map[int]bool{1: true, mostMoved: true, mostMoved + 1: false} {
			t.Run(fmt.Sprint(segment, " with ", left), func(t *testing.T) {
				h := newShortage(t, segment)
				h.fill()
				h.spend()
				h.keep(left)
				h.sweep(50, 1000)
				if moved {
					h.requireMoved()
					require.LessOrEqual(t, h.store.Stats().Copied, uint64(mostMoved*kilobyte))
					return
				}
				h.requireWaiting()
				require.Zero(t, h.store.Stats().Copied)
				h.keep(left - 1)
				h.sweep(50, 1000)
				h.requireMoved()
			})
		}
	}
}

// TestMoveThatBecomesTooLarge: a move is running when the reserve is spent. If
// much is still to be copied, it waits until there is room; if little, it goes on.
func TestMoveThatBecomesTooLarge(t *testing.T) {
	const left, step = 240, 32 // step: slots that a sweep looks at, for which it goes through 16 KiB
	for _, test := range []struct {
		name   string
		toCopy int
		goesOn bool
	}{
		{"much is left", 200, false},
		{"little is left", mostMoved - 16, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newShortage(t, 1<<20)
			h.keep(left)
			for h.store.Stats().Copied < uint64(left-test.toCopy)*kilobyte {
				require.Zero(t, h.store.Stats().Compacted)
				h.sweep(1, step)
			}
			require.Zero(t, h.store.Stats().Compacted)
			h.fill()
			h.spend()
			copied := h.store.Stats().Copied
			require.Less(t, copied, uint64(left*kilobyte))
			if !test.goesOn {
				h.sweep(200, step)
				h.requireWaiting()
				require.Equal(t, copied, h.store.Stats().Copied)
				h.disk.blocks += 4096
			}
			h.sweep(200, step)
			h.requireMoved()
			if test.goesOn {
				require.EqualValues(t, left*kilobyte, h.store.Stats().Copied, "nothing was copied twice")
			}
		})
	}
}

// TestMoveSpendsTheReserve: nobody deletes anything, and the disk is full when a
// segment that is nearly all waste is moved. The move removes the reserve, and
// makes it again.
func TestMoveSpendsTheReserve(t *testing.T) {
	const left = 20
	h := newShortage(t, 1<<20)
	h.keep(left)
	require.Less(t, h.store.Stats().Copied, uint64(left/2*kilobyte), "most of it is still to be copied")
	h.fill()
	require.True(t, there(t, h.disk, reserve))
	for n := 0; h.store.Stats().Compacted == 0; n++ {
		require.Less(t, n, 50)
		h.sweep(1, 1000)
	}
	h.sweep(2, 1000)
	h.requireMoved()
	require.True(t, there(t, h.disk, reserve))
	require.NoError(t, h.store.Set(write("new", "one", 0)))
	var said []string
	for _, line := range guest.Logged() {
		said = append(said, line.Text)
	}
	require.Len(t, said, 1)
	require.Contains(t, said[0], "the disk is full")
}

// TestMoveIsNotWorthTheReserve: a move does not remove the reserve over and over
// if everything there is is too large to be moved.
func TestMoveIsNotWorthTheReserve(t *testing.T) {
	h := newShortage(t, 1<<20)
	h.keep(100)
	h.fill()
	guest.Logged()
	const sweeps = 640
	h.sweep(sweeps, 1000)
	require.LessOrEqual(t, h.disk.spent, sweeps/64+1)
	require.Len(t, guest.Logged(), 1, "it is logged once, until a session could be stored")
	_, err := h.disk.Stat(inTheFirst)
	require.NoError(t, err)
	for n := range h.kept {
		requireValue(t, h.store, kilobyteKey(n), kilobyteValue(n))
	}
	h.disk.blocks += 4096
	h.sweep(64, 1000)
	h.requireMoved()
	require.True(t, there(t, h.disk, reserve))
}

// TestDeletionsPayMoreWhileShort: deletions alone, without a save or a sweep, find
// a segment of nothing but old versions, go through it and free it, long before
// the reserve has no room for more of them. It may be the current segment.
func TestDeletionsPayMoreWhileShort(t *testing.T) {
	const (
		segment = 1 << 20
		tiny    = 5000
		// A deletion writes 40 bytes and pays for 16 times as much, in steps of 64
		// KiB. The segment takes 16 of those, beginning with the second.
		most = (segment + 2*64<<10) / (40 * 16)
	)
	for name, waste := range map[string]int{"a full segment": 1024, "the current segment": 1000} {
		t.Run(name, func(t *testing.T) {
			disk := newLimited(1 << 30)
			s := open(t, disk, func(o *segments.Options) { o.SegmentBytes = segment })
			for n := range tiny {
				require.NoError(t, s.Set(write("tiny"+decimal(n), "", 0)))
			}
			for n := 0; s.Stats().Segments == 1; n++ {
				require.NoError(t, s.Set(write("filler"+decimal(n), strings.Repeat("f", 1000), 0)))
			}
			for n := range waste {
				require.NoError(t, s.Set(write(kilobyteKey(n%16), kilobyteValue(n), 0)))
			}
			disk.blocks = disk.used()
			deleted := 0
			for ; s.Stats().Compacted == 0; deleted++ {
				require.Less(t, deleted, most)
				require.NoError(t, s.Delete([]byte("tiny"+decimal(deleted)), 1))
			}
			require.False(t, there(t, disk, reserve))
			before := s.Stats().Segments
			for n := range 64<<10/(40*16) + 1 { // one more step removes it
				require.NoError(t, s.Delete([]byte("tiny"+decimal(deleted+n)), 1))
			}
			require.Less(t, s.Stats().Segments, before)
			require.NoError(t, s.Set(write("new", "one", 0)))
			require.True(t, there(t, disk, reserve))
			require.NoError(t, s.Verify())
		})
	}
}

package segments_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

const (
	onlySegment = "shard-0/00000000.segment"
	savedFile   = "shard-0/saved"
)

// stopped makes a disk with two versions of some sessions, a deleted one, and
// then a clean stop.
func stopped(t *testing.T) *crash.Disk {
	disk := crash.New()
	s := open(t, disk)
	for _, version := range []string{"old ", "new "} {
		for _, key := range []string{"a", "b", "c"} {
			require.NoError(t, s.Set(write(key, version+strings.Repeat(key, 30), 0)))
		}
		require.NoError(t, s.Save(1))
	}
	require.NoError(t, s.Set(write("gone", "x", 0)))
	require.NoError(t, s.Delete([]byte("gone"), 1))
	require.NoError(t, s.Set(write("a", "newest "+strings.Repeat("a", 30), 0)))
	require.NoError(t, s.Save(1))
	s.Close()
	return disk
}

// rotten opens a store whose segment was changed, and returns the keys that
// differ from what was saved without an error that says so.
func rotten(t *testing.T, disk *crash.Disk, segment []byte) (silent []string, damaged uint64) {
	replace(t, disk, onlySegment, segment)
	s := open(t, disk)
	defer s.Close()
	for key, value := range map[string]string{"a": "newest ", "b": "new ", "c": "new ", "gone": ""} {
		got, err := s.Get([]byte(key), 1)
		switch {
		case errors.Is(err, guest.ErrCorrupt):
		case value == "" && errors.Is(err, guest.ErrNotFound):
		case err == nil && value != "" && string(got) == value+strings.Repeat(key, 30):
		default:
			silent = append(silent, key)
		}
	}
	guest.Logged()
	return silent, s.Stats().Damaged
}

// TestSavedToTheLastByte: after a clean stop, a flipped bit anywhere in what was
// saved brings back no older version and loses no session.
func TestSavedToTheLastByte(t *testing.T) {
	disk := stopped(t)
	whole := contents(t, disk, onlySegment)
	saved := contents(t, disk, savedFile)
	for at := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[at] ^= 1 << bit
			replace(t, disk, savedFile, saved)
			silent, _ := rotten(t, disk, b)
			require.Empty(t, silent, "byte %d of %d, bit %d", at, len(whole), bit)
		}
	}
}

// TestDamageThatWasSavedIsSaid: if more than a bit is lost, nobody may know
// whose it was, but the damage is counted and logged.
func TestDamageThatWasSavedIsSaid(t *testing.T) {
	disk := stopped(t)
	whole := contents(t, disk, onlySegment)
	saved := contents(t, disk, savedFile)
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		b := bytes.Clone(whole)
		if round%2 == 0 {
			at := 144 + rng.IntN(len(b)-144-20)
			for i := range 20 {
				b[at+i] = byte(rng.Uint32())
			}
		} else {
			for range 20 {
				b[144+rng.IntN(len(b)-144)] = byte(rng.Uint32())
			}
		}
		replace(t, disk, savedFile, saved)
		silent, damaged := rotten(t, disk, b)
		require.True(t, len(silent) == 0 || damaged > 0, "round %d: %v", round, silent)
	}
	for _, size := range []int{0, 143, 144, 200, len(whole) - 50, len(whole) - 1} {
		replace(t, disk, savedFile, saved)
		silent, damaged := rotten(t, disk, whole[:size])
		require.True(t, len(silent) == 0 || damaged > 0, "cut to %d: %v", size, silent)
	}
}

// TestSavedIsNoTruthOfItsOwn: whatever happens to the note, everything in the
// segments is still found.
func TestSavedIsNoTruthOfItsOwn(t *testing.T) {
	disk := stopped(t)
	whole := contents(t, disk, onlySegment)
	saved := contents(t, disk, savedFile)
	for at := range saved {
		b := bytes.Clone(saved)
		b[at] ^= 0xff
		replace(t, disk, savedFile, b)
		silent, damaged := rotten(t, disk, whole)
		require.Empty(t, silent)
		require.Zero(t, damaged)
	}
	for size := range saved {
		replace(t, disk, savedFile, saved[:size])
		silent, damaged := rotten(t, disk, whole)
		require.Empty(t, silent)
		require.Zero(t, damaged)
	}
}

// TestSavedThatCannotBeWritten: a save does not fail if the note cannot be
// written, and the note says no more than is true.
func TestSavedThatCannotBeWritten(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	disk.Hook(func(op crash.Op) (int, error) {
		if op.Name == savedFile {
			return op.Size / 2, syscall.EIO
		}
		return 0, nil
	})
	for range 3 {
		require.NoError(t, s.Set(write("a", "value", 0)))
		require.NoError(t, s.Save(1))
	}
	disk.Hook(nil)
	disk.Restart(crash.Nothing)
	s = open(t, disk)
	requireValue(t, s, "a", "value")
	require.Zero(t, s.Stats().Damaged)
}

// TestSavedOfManySegments: more segments than the note has room for are used,
// one after the other.
func TestSavedOfManySegments(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	disk.Hook(func(op crash.Op) (int, error) {
		if strings.HasSuffix(op.Name, ".hint") {
			return 0, syscall.EIO
		}
		return 0, nil
	})
	value := strings.Repeat("x", small-300)
	for n := range 150 {
		require.NoError(t, s.Set(write(decimal(n), value, 0)))
		if n%10 == 0 {
			require.NoError(t, s.Save(1))
		}
	}
	require.NoError(t, s.Save(1))
	require.Greater(t, s.Stats().Segments, 124)
	s.Close()
	disk.Hook(nil)
	require.Greater(t, len(contents(t, disk, savedFile)), 1000)
	s = open(t, disk)
	require.Zero(t, s.Stats().Damaged)
	for n := range 150 {
		requireValue(t, s, decimal(n), value)
	}
}

package segments_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// FuzzSegment opens a store with arbitrary bytes after, or in place of, a
// segment's header. Whatever they are, the store opens and works, or refuses to
// open.
func FuzzSegment(f *testing.F) {
	disk, _ := sample(f, false)
	whole := contents(f, disk, "shard-0/"+list(f, disk)[0])
	f.Add(whole[144:2000], false)
	f.Add(whole[:400], true)
	f.Fuzz(func(t *testing.T, b []byte, header bool) {
		disk := crash.New()
		s := open(t, disk)
		require.NoError(t, s.Set(write("a", "stays", 0)))
		require.NoError(t, s.Save(1))
		s.Close()
		if !header {
			is := contents(t, disk, "shard-0/00000000.segment")
			b = append(is, segments.Reseal(is, b)...)
			replace(t, disk, "shard-0/00000000.segment", b)
		} else {
			replace(t, disk, "shard-0/00000001.segment", b)
		}
		s, err := tryOpen(disk)
		if err != nil {
			require.ErrorIs(t, err, guest.ErrInvalid)
			return
		}
		require.NoError(t, s.Verify())
		if header {
			requireValue(t, s, "a", "stays")
		}
		require.NoError(t, s.Set(write("b", "new", 0)))
		require.NoError(t, s.Save(1))
		for range 20 {
			_, err := s.Sweep(1000, 1)
			require.NoError(t, err)
		}
		require.NoError(t, s.Verify())
		s = open(t, disk)
		requireValue(t, s, "b", "new")
		_, _, err = drive(t, s).Keys(0, 1)
		require.NoError(t, err)
	})
}

// FuzzHint reads arbitrary bytes as the hint of a segment. A hint that does not
// fit its segment may cost sessions, but only if it was made to fit; it never
// invents one.
func FuzzHint(f *testing.F) {
	disk, _ := sample(f, true)
	for _, name := range list(f, disk) {
		if name[9:] == "hint" {
			f.Add(contents(f, disk, "shard-0/"+name), true)
			f.Add(contents(f, disk, "shard-0/"+name)[:200], false)
			break
		}
	}
	sampled, _ := sample(f, false)
	segment := list(f, sampled)[0]
	whole := contents(f, sampled, "shard-0/"+segment)
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		disk := crash.New()
		require.NoError(t, disk.Mkdir("shard-0"))
		replace(t, disk, "format", []byte("waddle dynfile 1\nshards 1\n"))
		replace(t, disk, "shard-0/"+segment, whole)
		if sealed {
			b = segments.ResealHint(b)
		}
		replace(t, disk, "shard-0/"+segment[:8]+".hint", b)
		s, err := tryOpen(disk)
		require.NoError(t, err)
		require.NoError(t, s.Verify())
		for i := range 200 {
			got, err := s.Get([]byte("key-"+decimal(i)), 1)
			if err == nil {
				require.Contains(t, string(got[:10]), "/"+decimal(i))
			}
		}
		require.NoError(t, s.Set(write("b", "new", 0)))
		require.NoError(t, s.Save(1))
		requireValue(t, s, "b", "new")
	})
}

package segments_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

const reserve = "shard-0/reserve"

// limited is a disk with that many blocks for the contents of files.
type limited struct {
	vfs.FS
	blocks int64
	sizes  map[string]int64
	spent  int // how often the reserve was removed
}

const block = 4096

func newLimited(bytes int64) *limited {
	return &limited{FS: crash.New(), blocks: bytes / block, sizes: map[string]int64{}}
}

func (l *limited) used() (blocks int64) {
	for _, size := range l.sizes {
		blocks += (size + block - 1) / block
	}
	return blocks
}

func (l *limited) OpenFile(name string, flag vfs.Flag) (vfs.File, error) {
	f, err := l.FS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	if l.sizes[name], err = f.Size(); err != nil {
		return nil, err
	}
	return &limitedFile{f, l, name}, nil
}

func (l *limited) Remove(name string) error {
	err := l.FS.Remove(name)
	if err == nil {
		delete(l.sizes, name)
		if name == reserve {
			l.spent++
		}
	}
	return err
}

func (l *limited) Rename(from, to string) error {
	err := l.FS.Rename(from, to)
	if err == nil {
		l.sizes[to] = l.sizes[from]
		delete(l.sizes, from)
	}
	return err
}

type limitedFile struct {
	vfs.File
	disk *limited
	name string
}

func (f *limitedFile) WriteAt(b []byte, offset int64) (int, error) {
	was := f.disk.sizes[f.name]
	f.disk.sizes[f.name] = max(was, offset+int64(len(b)))
	if f.disk.used() <= f.disk.blocks {
		return f.File.WriteAt(b, offset)
	}
	f.disk.sizes[f.name] = was
	// As systems do: what still fits into the last block is written.
	fits := min(max((was+block-1)/block*block-offset, 0), int64(len(b)))
	n, err := f.File.WriteAt(b[:fits], offset)
	if err == nil {
		f.disk.sizes[f.name], err = max(was, offset+fits), syscall.ENOSPC
	}
	return n, err
}

func (f *limitedFile) Truncate(size int64) error {
	err := f.File.Truncate(size)
	if err == nil {
		f.disk.sizes[f.name] = size
	}
	return err
}

func there(t testing.TB, fs vfs.FS, name string) bool {
	info, err := fs.Stat(name)
	if err != nil {
		require.True(t, vfs.NotExist(err), "%v", err)
		return false
	}
	require.EqualValues(t, 256<<10, info.Size)
	return true
}

// fillDisk stores sessions of about a kilobyte until the disk is full.
func fillDisk(t testing.TB, s *segments.Store) (n int) {
	for ; ; n++ {
		if err := s.Set(write("k"+decimal(n), strings.Repeat("v", 1000), 0)); err != nil {
			require.ErrorIs(t, err, guest.ErrNoSpace)
			require.Greater(t, n, 1000)
			return n
		}
	}
}

func TestFullDisk(t *testing.T) {
	for _, segment := range []int64{segments.MinSegment, segments.DefaultSegment} {
		disk := newLimited(4 << 20)
		full := func() (*segments.Store, int) {
			s := open(t, disk, func(o *segments.Options) { o.SegmentBytes = segment })
			n := fillDisk(t, s)
			require.True(t, there(t, disk, reserve), "sessions do not use it")
			return s, n
		}
		s, n := full()
		require.NoError(t, s.Delete([]byte("k0"), 1))
		requireNone(t, s, "k0")
		require.NoError(t, s.Set(guest.Write{Key: []byte("k1"), Now: 2, Expires: 1}), "an expired write is a deletion")
		requireNone(t, s, "k1")
		gone := 2
		for ; there(t, disk, reserve); gone++ { // the last block had some room
			require.NoError(t, s.Delete([]byte("k"+decimal(gone)), 1))
		}
		require.Less(t, gone, 150)
		for range 200 { // whatever is left is not for them
			require.ErrorIs(t, s.Set(write("more", "small", 0)), guest.ErrNoSpace)
			require.ErrorIs(t, s.Touch([]byte("k500"), hour, 1), guest.ErrNoSpace)
		}
		require.False(t, there(t, disk, reserve+".new"), "an attempt that failed leaves nothing")
		require.NoError(t, s.Save(1))
		require.NoError(t, s.Verify())

		// Everybody can log out, and then others can log in.
		for i := gone; i < n; i++ {
			require.NoError(t, s.Delete([]byte("k"+decimal(i)), 1), "session %d of %d", i, n)
			if i%50 == 0 {
				_, err := s.Sweep(100, 1)
				require.NoError(t, err)
			}
		}
		for range 64 {
			_, err := s.Sweep(1000, 1)
			require.NoError(t, err)
		}
		require.True(t, there(t, disk, reserve), "made again when there is room")
		require.NoError(t, s.Set(write("new", "one", 0)))
		require.NoError(t, s.Verify())
		require.EqualValues(t, 1, s.Stats().Sessions)
		s.Close()

		// The store is opened again when it is full and the reserve is spent, and
		// cleared.
		s, _ = full()
		for i := 0; there(t, disk, reserve); i++ {
			require.NoError(t, s.Delete([]byte("k"+decimal(i)), 1))
		}
		s.Close()
		s = open(t, disk, func(o *segments.Options) { o.SegmentBytes = segment })
		require.ErrorIs(t, s.Set(write("more", "small", 0)), guest.ErrNoSpace)
		require.NoError(t, s.Delete([]byte("k999"), 1))
		require.NoError(t, s.Clear(1))
		require.NoError(t, s.Set(write("new", "one", 0)))
		require.True(t, there(t, disk, reserve))
		require.NoError(t, s.Save(1))
		s.Close()
		s = open(t, disk, func(o *segments.Options) { o.SegmentBytes = segment })
		requireValue(t, s, "new", "one")
		require.EqualValues(t, 1, s.Stats().Sessions)
		require.NoError(t, s.Clear(1))
		s.Close()

		// Clear alone.
		s, _ = full()
		require.NoError(t, s.Clear(1))
		require.NoError(t, s.Set(write("new", "one", 0)))
		s.Close()
	}
}

// TestDeletionsLeaveRoomToClear: there are more deletions than the reserve has
// room for, spread so that no space can be freed. They are refused before Clear
// is.
func TestDeletionsLeaveRoomToClear(t *testing.T) {
	for _, segment := range []int64{1 << 20, segments.DefaultSegment} {
		disk := newLimited(12 << 20)
		s := open(t, disk, func(o *segments.Options) { o.SegmentBytes = segment })
		n := 0
		var err error
		for ; err == nil; n++ {
			err = s.Set(write("k"+decimal(n), strings.Repeat("v", 500), 0))
		}
		require.ErrorIs(t, err, guest.ErrNoSpace)
		deleted := 0
		for i := 0; i < n; i += 2 {
			if err := s.Delete([]byte("k"+decimal(i)), 1); err != nil {
				require.ErrorIs(t, err, guest.ErrNoSpace)
				break
			}
			deleted++
			if i%100 == 0 {
				_, _ = s.Sweep(64, 1) // in small steps, each of which would find room
			}
		}
		require.Zero(t, s.Stats().Compacted, "a move that is too large is not begun")
		require.Greater(t, deleted, 4000)
		require.Less(t, deleted, n/2, "the test has too few sessions")
		require.NoError(t, s.Verify())
		require.NoError(t, s.Clear(1))
		require.NoError(t, s.Set(write("new", "one", 0)))
		require.True(t, there(t, disk, reserve))
	}
}

// TestSaveOnAFullDisk: some systems notice only in a sync that there is no room.
func TestSaveOnAFullDisk(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	require.NoError(t, s.Set(write("a", "1", 0)))
	spent := false
	disk.Hook(func(op crash.Op) (int, error) {
		spent = spent || op.Kind == crash.Remove && op.Name == reserve
		if op.Kind == crash.Sync && !spent {
			return 0, syscall.ENOSPC
		}
		return 0, nil
	})
	require.NoError(t, s.Save(1))
	require.True(t, spent)
	disk.Restart(crash.Nothing)
	requireValue(t, open(t, disk), "a", "1")
}

func TestReserveThatIsNone(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, disk *crash.Disk){
		"missing":   func(t *testing.T, disk *crash.Disk) { require.NoError(t, disk.Remove(reserve)) },
		"cut short": func(t *testing.T, disk *crash.Disk) { replace(t, disk, reserve, make([]byte, 100)) },
		"half made": func(t *testing.T, disk *crash.Disk) { replace(t, disk, reserve+".new", make([]byte, 100)) },
	} {
		t.Run(name, func(t *testing.T) {
			disk := crash.New()
			s := open(t, disk)
			require.NoError(t, s.Set(write("a", "1", 0)))
			s.Close()
			spoil(t, disk)
			s = open(t, disk)
			requireValue(t, s, "a", "1")
			require.True(t, there(t, disk, reserve))
			require.False(t, there(t, disk, reserve+".new"))
			b := contents(t, disk, reserve)
			for at := 0; at < len(b); at += block {
				require.NotEqual(t, make([]byte, block), b[at:at+block], "a hole keeps no room")
			}
		})
	}
	t.Run("a directory", func(t *testing.T) {
		disk := crash.New()
		s := open(t, disk)
		s.Close()
		require.NoError(t, disk.Remove(reserve))
		require.NoError(t, disk.Mkdir(reserve))
		s = open(t, disk)
		require.NoError(t, s.Set(write("a", "1", 0)), "it does without")
		require.NoError(t, s.Save(1))
	})
}

// TestReserveLost: the reserve cannot be made, for lack of room or another reason.
// The number of attempts is bounded, and the reserve comes back without a restart.
func TestReserveLost(t *testing.T) {
	for _, errno := range []error{syscall.ENOSPC, syscall.EIO} {
		disk := crash.New()
		attempts := 0
		disk.Hook(func(op crash.Op) (int, error) {
			if op.Kind == crash.Write && strings.HasPrefix(op.Name, reserve) {
				attempts++
				return op.Size / 2, errno
			}
			return 0, nil
		})
		s := open(t, disk)
		err := s.Set(write("a", "1", 0))
		require.Equal(t, errors.Is(errno, syscall.ENOSPC), errors.Is(err, guest.ErrNoSpace), "%v: %v", errno, err)
		for range 640 {
			require.NoError(t, s.Save(1))
			_, err := s.Sweep(10, 1)
			require.NoError(t, err)
		}
		require.LessOrEqual(t, attempts, 2+1280/64, "one for opening, and one for the session")
		require.GreaterOrEqual(t, attempts, 1280/64)
		disk.Hook(nil)
		for range 64 {
			require.NoError(t, s.Save(1))
		}
		require.True(t, there(t, disk, reserve))
		require.NoError(t, s.Set(write("a", "1", 0)))
	}
}

// TestRoomIsFoundWhenAsked: others have filled the disk, and make room again. If
// few sessions are refused, the next one is stored at once. If many are, one is
// stored a moment later, by the callers' clock or, if that stands still, by their
// number. The number of vain attempts meanwhile is bounded.
func TestRoomIsFoundWhenAsked(t *testing.T) {
	const (
		moment = 100 // milliseconds
		tries  = 4   // in a moment
	)
	for _, test := range []struct {
		name     string
		calls    int
		interval float64 // milliseconds between them
		late     float64 // how much later the first stored one comes
		attempts int     // at most
	}{
		{"none is refused", 0, 1, 0, 0},
		{"few are, at the same time", tries - 1, 0, 0, tries},
		{"few are, one after the other", 100, 170, 0, 101},
		{"many are", 20_000, 0.1, moment, 21 * tries},
		{"many are, and the clock stands still", 6400, 0, 0, tries + 6400/64},
		{"many are, and the clock went back", 1000, -0.1, -moment, 2 * tries},
	} {
		for what, sweeps := range map[string]bool{"": false, ", and a sweep was long ago": true} {
			t.Run(test.name+what, func(t *testing.T) {
				disk := crash.New()
				full, attempts := false, 0
				disk.Hook(func(op crash.Op) (int, error) {
					if full && op.Kind == crash.Write {
						if strings.HasPrefix(op.Name, reserve) {
							attempts++
						}
						return 0, syscall.ENOSPC
					}
					return 0, nil
				})
				s := open(t, disk)
				require.NoError(t, s.Set(write("a", "1", 0)))
				require.NoError(t, s.Set(write("b", "1", 0)))
				now := 1e6
				if sweeps {
					_, err := s.Sweep(100, int64(now))
					require.NoError(t, err)
				}
				set := func() error {
					return s.Set(guest.Write{Key: []byte("new"), Value: []byte("revision1"), Now: int64(now)})
				}
				full = true
				require.ErrorIs(t, s.Delete([]byte("b"), int64(now)), guest.ErrNoSpace)
				require.False(t, there(t, disk, reserve), "the test needs it spent")
				for range test.calls {
					now += test.interval
					require.ErrorIs(t, set(), guest.ErrNoSpace)
				}
				require.LessOrEqual(t, attempts, test.attempts)
				full = false
				now += test.interval + test.late
				err := set()
				for n := 0; err != nil && test.calls == 6400 && n < 64; n++ {
					err = set()
				}
				require.NoError(t, err)
				require.True(t, there(t, disk, reserve))
				require.NoError(t, s.Verify())
			})
		}
	}
}

package segments_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
)

// TestFaultsAtRandom makes one in twenty file system operations fail, among
// random histories with crashes. An operation that fails has changed nothing,
// and what was saved between two faults is safe.
func TestFaultsAtRandom(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t, 100+seed, func(*segments.Options) {})
		w.open()
		errnos := []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS}
		for range 10 {
			w.disk.Hook(func(op crash.Op) (int, error) {
				// A file that cannot be read says nothing about the store.
				if op.Kind == crash.Read || op.Kind == crash.Open || op.Kind == crash.Stat || w.rng.IntN(20) > 0 {
					return 0, nil
				}
				return w.rng.IntN(op.Size + 1), errnos[w.rng.IntN(len(errnos))]
			})
			for range 300 {
				require.True(t, w.step())
				require.NoError(t, w.store.Verify())
			}
			w.disk.Hook(nil)
			if w.rng.IntN(2) == 0 {
				w.disk.Kill(crash.Everything)
			} else {
				w.disk.Restart(w.survival())
			}
			w.restart(true)
		}
		w.store.Close()
	}
}

func fail(kind crash.Kind, errno error) func(crash.Op) (int, error) {
	return func(op crash.Op) (int, error) {
		if op.Kind == kind {
			return op.Size / 2, errno
		}
		return 0, nil
	}
}

func TestErrorsOfTheDisk(t *testing.T) {
	for _, c := range []struct {
		errno error
		want  error
	}{
		{syscall.EIO, guest.ErrUnavailable},
		{syscall.ENOSPC, guest.ErrNoSpace},
		{syscall.EROFS, guest.ErrDenied},
	} {
		disk := crash.New()
		s := open(t, disk)
		require.NoError(t, s.Set(write("a", "before", 0)))
		disk.Hook(fail(crash.Write, c.errno))
		require.ErrorIs(t, s.Set(write("a", "after", 0)), c.want)
		require.ErrorIs(t, s.Set(write("b", "after", 0)), c.want)
		require.ErrorIs(t, s.Delete([]byte("a"), 1), c.want)
		require.ErrorIs(t, s.Touch([]byte("a"), 9, 1), c.want)
		requireValue(t, s, "a", "before")
		disk.Hook(nil)
		requireNone(t, s, "b")
		for range 64 { // the room is noticed within that many calls
			require.NoError(t, s.Save(1))
		}
		require.NoError(t, s.Set(write("b", "later", 0)))
		s = open(t, disk)
		requireValue(t, s, "a", "before")
		requireValue(t, s, "b", "later")

		disk.Hook(fail(crash.Read, c.errno))
		_, err := s.Get([]byte("a"), 1)
		require.ErrorIs(t, err, c.want)
	}
}

// TestWriteThatWasDone: the disk reports that a write failed, although it was
// done. What was answered with an error must not be there when the store is
// opened again.
func TestWriteThatWasDone(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	require.NoError(t, s.Set(write("a", "before", 0)))
	disk.Hook(func(op crash.Op) (int, error) {
		if op.Kind == crash.Write {
			return op.Size, syscall.EIO
		}
		return 0, nil
	})
	require.ErrorIs(t, s.Set(write("a", "after", 0)), guest.ErrUnavailable)
	require.ErrorIs(t, s.Set(write("b", "after", 0)), guest.ErrUnavailable)
	require.ErrorIs(t, s.Delete([]byte("a"), 1), guest.ErrUnavailable)
	disk.Kill(crash.Everything)
	s = open(t, disk)
	requireValue(t, s, "a", "before")
	requireNone(t, s, "b")
}

// TestRecordsElsewhere puts whole records where they were not written: into the
// middle of a value, to another place in their segment, and into another
// segment. They must not be read as records there.
func TestRecordsElsewhere(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	require.NoError(t, s.Set(write("old", "record", 0)))
	record := contents(t, disk, "shard-0/00000000.segment")[144:]
	require.NoError(t, s.Delete([]byte("old"), 1))
	inner := "aligned" + string(make([]byte, 8*8-40-3-7)) + string(record)
	require.NoError(t, s.Set(write("val", inner, 0)))
	s.Close()
	whole := contents(t, disk, "shard-0/00000000.segment")
	at := bytes.LastIndex(whole, record)
	require.Zero(t, at%8, "where a record could be")

	// The header before it is destroyed, so that the value is searched.
	b := bytes.Clone(whole)
	clear(b[at-64 : at-24])
	clear(b[144 : 144+len(record)+40]) // the record itself, and its tombstone
	replace(t, disk, "shard-0/00000000.segment", append(b, record...))
	s = open(t, disk)
	requireNone(t, s, "old")
	s.Close()

	// Another segment, with records of this one.
	other := crash.New()
	s = open(t, other, func(o *segments.Options) { o.Random = random(2) })
	s.Close()
	s = open(t, other, func(o *segments.Options) { o.Random = random(2) })
	require.NoError(t, s.Set(write("x", "y", 0)))
	s.Close()
	b = contents(t, other, "shard-0/00000000.segment")[:144]
	replace(t, other, "shard-0/00000000.segment", append(b, record...))
	s = open(t, other)
	requireNone(t, s, "old")
	require.Zero(t, s.Stats().Sessions)
}

// TestFailedSync: the system says once that it could not write, and from then on
// that all is well.
func TestFailedSync(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	require.NoError(t, s.Set(write("a", "durable", 0)))
	require.NoError(t, s.Set(write("gone", "x", 0)))
	require.NoError(t, s.Save(1))
	require.NoError(t, s.Set(write("b", "in doubt", 0)))
	require.NoError(t, s.Delete([]byte("gone"), 1))
	for range 5 {
		disk.Hook(fail(crash.Sync, syscall.EIO))
		require.ErrorIs(t, s.Save(1), guest.ErrUnavailable)
	}
	require.LessOrEqual(t, s.Stats().Segments, 3, "failed attempts do not pile up")
	disk.Hook(nil)
	require.NoError(t, s.Save(1))
	disk.Restart(crash.Nothing)
	s = open(t, disk)
	requireValue(t, s, "a", "durable")
	requireValue(t, s, "b", "in doubt")
	requireNone(t, s, "gone")
}

func TestDirectoryRemovedWhileInUse(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	require.NoError(t, s.Set(write("a", "1", 0)))
	for _, e := range list(t, disk) {
		require.NoError(t, disk.Remove("shard-0/"+e))
	}
	for _, name := range []string{"reserve", "saved"} {
		if err := disk.Remove("shard-0/" + name); !vfs.NotExist(err) {
			require.NoError(t, err)
		}
	}
	require.NoError(t, disk.RemoveDir("shard-0"))
	require.ErrorIs(t, s.Save(1), guest.ErrUnavailable)
	require.ErrorIs(t, s.Set(write("a", "2", 0)), guest.ErrUnavailable)
	require.ErrorIs(t, s.Delete([]byte("a"), 1), guest.ErrUnavailable)
	require.ErrorIs(t, s.Save(1), guest.ErrUnavailable)
	require.ErrorIs(t, s.Clear(1), guest.ErrUnavailable)
	requireValue(t, s, "a", "1")
}

func list(t testing.TB, fs vfs.FS) (names []string) {
	entries, err := fs.ReadDir("shard-0")
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name != "reserve" && e.Name != "saved" { // which hold no sessions
			names = append(names, e.Name)
		}
	}
	return names
}

func contents(t testing.TB, fs vfs.FS, name string) []byte {
	f, err := fs.OpenFile(name, 0)
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	b := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(b, 0)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	return b
}

func replace(t testing.TB, fs vfs.FS, name string, b []byte) {
	f, err := fs.OpenFile(name, vfs.ReadWrite|vfs.Create|vfs.Truncate)
	require.NoError(t, err)
	_, err = f.WriteAt(b, 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

// sample makes a saved store with sessions that were overwritten and deleted,
// and with hints if asked for.
func sample(t testing.TB, hints bool) (disk *crash.Disk, want map[string]string) {
	disk, want = crash.New(), map[string]string{}
	s := open(t, disk)
	for round := range 3 {
		for i := range 200 {
			key, value := "key-"+decimal(i), decimal(round)+"/"+decimal(i)+string(make([]byte, 200+i))
			require.NoError(t, s.Set(write(key, value, 0)))
			want[key] = value
			if i%7 == 0 && round == 2 {
				require.NoError(t, s.Delete([]byte(key), 1))
				delete(want, key)
			}
		}
		require.NoError(t, s.Save(1))
	}
	require.NoError(t, s.Set(write("last", "one", 0))) // says that everything before it is durable
	want["last"] = "one"
	if hints {
		for range 100 {
			_, err := s.Sweep(100, 1)
			require.NoError(t, err)
		}
	}
	require.NoError(t, s.Save(1))
	s.Close()
	return disk, want
}

// check opens a damaged store and returns how many of the sessions are lost. All
// others must be there, and none may be a deleted one or an older version.
func check(t testing.TB, disk *crash.Disk, want map[string]string, what string) (lost int) {
	s, err := tryOpen(disk)
	if err != nil {
		require.ErrorIs(t, err, guest.ErrInvalid, what)
		return len(want)
	}
	defer s.Close()
	require.NoError(t, s.Verify(), what)
	for i := range 200 {
		key := "key-" + decimal(i)
		got, err := s.Get([]byte(key), 1)
		value, ok := want[key]
		switch {
		case err == nil:
			require.True(t, ok, "%s: a deleted session is back", what)
			require.Equal(t, value[:8], string(got[:8]), what)
			require.Equal(t, value, string(got), what)
		case ok:
			lost++
			if !vfs.NotExist(err) {
				require.True(t, isAny(err, guest.ErrNotFound, guest.ErrCorrupt), "%s: %v", what, err)
			}
		default:
			require.True(t, isAny(err, guest.ErrNotFound, guest.ErrCorrupt), "%s: %v", what, err)
		}
	}
	require.NoError(t, s.Set(write("new", "life goes on", 0)), what)
	require.NoError(t, s.Save(1), what)
	requireValue(t, s, "new", "life goes on")
	return lost
}

func isAny(err error, any ...error) bool {
	for _, e := range any {
		if bytes.Contains([]byte(err.Error()), []byte(e.Error())) {
			return true
		}
	}
	return false
}

func TestBitFlips(t *testing.T) {
	for _, hints := range []bool{false, true} {
		disk, want := sample(t, hints)
		files := map[string][]byte{}
		hinted := 0
		for _, name := range list(t, disk) {
			files[name] = contents(t, disk, "shard-0/"+name)
			if len(name) > 8 && name[9:] == "hint" {
				hinted++
			}
		}
		require.Equal(t, hints, hinted > 0)
		rng := rand.New(rand.NewPCG(1, 2))
		for name, whole := range files {
			for n := range 150 {
				b := bytes.Clone(whole)
				at := rng.IntN(len(b))
				if n < 40 { // headers above all
					at = rng.IntN(min(len(b), 300))
				}
				b[at] ^= 1 << rng.IntN(8)
				for other, was := range files {
					replace(t, disk, "shard-0/"+other, was)
				}
				replace(t, disk, "shard-0/"+name, b)
				for _, now := range list(t, disk) {
					if files[now] == nil {
						require.NoError(t, disk.Remove("shard-0/"+now))
					}
				}
				lost := check(t, disk, want, name+" at "+decimal(at))
				require.LessOrEqual(t, lost, 1, "%s at %d: a bit costs at most one session", name, at)
			}
		}
	}
}

func TestTruncated(t *testing.T) {
	for _, hints := range []bool{false, true} {
		for n := range 60 {
			disk, want := sample(t, hints)
			rng := rand.New(rand.NewPCG(uint64(n), 2))
			names := list(t, disk)
			name := names[rng.IntN(len(names))]
			b := contents(t, disk, "shard-0/"+name)
			replace(t, disk, "shard-0/"+name, b[:rng.IntN(len(b))])
			// Without a hint nothing shows that a segment was longer.
			hinted := slices.Contains(names, name[:8]+".hint")
			s, err := tryOpen(disk)
			require.NoError(t, err)
			require.NoError(t, s.Verify())
			for key, value := range want {
				got, err := s.Get([]byte(key), 1)
				if err == nil && hinted {
					require.Equal(t, value, string(got))
				}
				if err != nil {
					require.True(t, isAny(err, guest.ErrNotFound, guest.ErrCorrupt))
				}
			}
			s.Close()
		}
	}
}

// TestLostStretch overwrites a stretch of a segment with zeros or noise:
// everything outside it stays.
func TestLostStretch(t *testing.T) {
	for n := range 60 {
		rng := rand.New(rand.NewPCG(uint64(n), 2))
		disk, want := sample(t, n%2 == 0)
		names := list(t, disk)
		name := names[rng.IntN(len(names))]
		b := contents(t, disk, "shard-0/"+name)
		if len(b) < 8000 {
			continue
		}
		from := 200 + rng.IntN(len(b)-4500)
		for i := range 4096 {
			b[from+i] = byte(rng.Uint32()) * byte(n/2%2)
		}
		replace(t, disk, "shard-0/"+name, b)
		s, err := tryOpen(disk)
		require.NoError(t, err)
		lost := 0
		for key := range want {
			if _, err := s.Get([]byte(key), 1); err != nil {
				lost++
			}
		}
		require.Less(t, lost, 25)
		require.NotZero(t, s.Stats().Damaged+uint64(lost)+s.Stats().Scanned)
		s.Close()
	}
}

func TestForeignFiles(t *testing.T) {
	disk, want := sample(t, false)
	replace(t, disk, "shard-0/notes.txt", []byte("not ours"))
	replace(t, disk, "shard-0/0000000a.hint", []byte("of no segment"))
	replace(t, disk, "shard-0/000000ff.segment", bytes.Repeat([]byte("noise"), 1000))
	replace(t, disk, "shard-0/000000fe.segment", nil)
	require.NoError(t, disk.Mkdir("shard-0/00000100.segment"))

	// The segment of another store, whose sessions must not appear here.
	foreign := crash.New()
	s := open(t, foreign, func(o *segments.Options) { o.Random = random(99) })
	require.NoError(t, s.Set(write("intruder", "x", 0)))
	require.NoError(t, s.Save(1))
	replace(t, disk, "shard-0/00000000.segment.bak", nil)
	b := contents(t, foreign, "shard-0/00000000.segment")
	b = segments.Renumber(b, 0xfd)
	replace(t, disk, "shard-0/000000fd.segment", b)

	guest.Logged()
	require.Zero(t, check(t, disk, want, "foreign"))
	lines := guest.Logged()
	require.Len(t, lines, 2)
	require.Contains(t, lines[0].Text+lines[1].Text, "belongs to another store")
	require.Contains(t, lines[0].Text+lines[1].Text, "000000ff.damaged")
	names := list(t, disk)
	require.Contains(t, names, "notes.txt")
	require.Contains(t, names, "000000ff.damaged")
	require.Contains(t, names, "000000fd.segment")
	require.NotContains(t, names, "000000fe.segment")
	require.NotContains(t, names, "0000000a.hint")
	s = open(t, disk)
	requireNone(t, s, "intruder")
}

func TestRefusedDirectories(t *testing.T) {
	disk, _ := sample(t, false)
	_, err := tryOpen(disk, func(o *segments.Options) { o.Shards = 2 })
	require.ErrorIs(t, err, guest.ErrInvalid)
	require.ErrorContains(t, err, "1 shard")

	disk = crash.New()
	replace(t, disk, "format", []byte("waddle keyfolder 1\nshards 1\n"))
	_, err = tryOpen(disk)
	require.ErrorContains(t, err, "keyfolder")

	disk, _ = sample(t, false)
	replace(t, disk, "format", []byte("waddle dynfile 2\nshards 1\n"))
	_, err = tryOpen(disk)
	require.ErrorContains(t, err, "version 2")

	disk, _ = sample(t, false)
	name := "shard-0/" + list(t, disk)[0]
	replace(t, disk, name, segments.Reversion(contents(t, disk, name), 2))
	_, err = tryOpen(disk)
	require.ErrorIs(t, err, guest.ErrInvalid)
	require.ErrorContains(t, err, "version 2")
}

// TestRefusedIsNotThereAfterAPowerLoss: a failed write may have reached the file
// all the same, and its undoing may not have reached the disk.
func TestRefusedIsNotThereAfterAPowerLoss(t *testing.T) {
	survivals := []crash.Survival{crash.Nothing, crash.Everything, crash.NamesOnly, crash.DataOnly, crash.Lengths}
	for seed := range uint64(60) {
		survivals = append(survivals, crash.Some(rand.New(rand.NewPCG(seed, 1))))
	}
	for n, survival := range survivals {
		disk := crash.New()
		s := open(t, disk)
		require.NoError(t, s.Set(write("a", "before", 0)))
		require.NoError(t, s.Save(1))
		disk.Hook(func(op crash.Op) (int, error) {
			if op.Kind == crash.Write {
				return op.Size, syscall.ENOSPC
			}
			return 0, nil
		})
		require.ErrorIs(t, s.Set(write("a", "refused", 0)), guest.ErrNoSpace)
		require.ErrorIs(t, s.Set(write("b", "refused", 0)), guest.ErrNoSpace)
		disk.Hook(nil)
		if n%2 == 0 {
			require.NoError(t, s.Set(write("c", "after", 0)))
		}
		disk.Restart(survival)
		s = open(t, disk)
		requireValue(t, s, "a", "before")
		requireNone(t, s, "b")
		s.Close()
	}
}

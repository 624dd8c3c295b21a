package folder_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

// filling is a disk that can be full. Then nothing can be made, and writes work
// only where files already have blocks or, with a quota of bytes, within their
// lengths.
type filling struct {
	*crash.Disk
	full, bytes bool
	blocks      map[string]map[int64]bool
}

const diskBlock = 4096

func newFilling() *filling {
	return &filling{Disk: crash.New(), blocks: make(map[string]map[int64]bool)}
}

func (d *filling) Mkdir(name string) error {
	if _, err := d.Stat(name); d.full && err != nil {
		return syscall.ENOSPC
	}
	return d.Disk.Mkdir(name)
}

func (d *filling) OpenFile(name string, flag vfs.Flag) (vfs.File, error) {
	_, err := d.Stat(name)
	if d.full && err != nil && flag&vfs.Create != 0 {
		return nil, syscall.ENOSPC
	}
	f, err := d.Disk.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	if d.blocks[name] == nil || flag&vfs.Truncate != 0 {
		d.blocks[name] = make(map[int64]bool)
	}
	return &fillingFile{f, d, name}, nil
}

func (d *filling) Remove(name string) error {
	err := d.Disk.Remove(name)
	if err == nil {
		delete(d.blocks, name)
	}
	return err
}

func (d *filling) Rename(from, to string) error {
	err := d.Disk.Rename(from, to)
	if err == nil {
		for name, blocks := range d.blocks {
			if rest, ok := strings.CutPrefix(name, from); ok && (rest == "" || rest[0] == '/') {
				delete(d.blocks, name)
				d.blocks[to+rest] = blocks
			}
		}
	}
	return err
}

type fillingFile struct {
	vfs.File
	disk *filling
	name string
}

func (f *fillingFile) WriteAt(b []byte, offset int64) (int, error) {
	end := offset + int64(len(b))
	if size, err := f.Size(); f.disk.full && f.disk.bytes && err == nil && end > size {
		return 0, syscall.EDQUOT
	}
	has := f.disk.blocks[f.name]
	for at := offset / diskBlock; at*diskBlock < end; at++ {
		if f.disk.full && !f.disk.bytes && !has[at] {
			n, err := f.File.WriteAt(b[:max(0, at*diskBlock-offset)], offset)
			if err == nil {
				err = syscall.ENOSPC
			}
			return n, err
		}
	}
	n, err := f.File.WriteAt(b, offset)
	for at := offset / diskBlock; at*diskBlock < offset+int64(n); at++ {
		has[at] = true
	}
	return n, err
}

func (f *fillingFile) Truncate(to int64) error {
	if size, err := f.Size(); f.disk.full && f.disk.bytes && err == nil && to > size {
		return syscall.EDQUOT
	}
	return f.File.Truncate(to)
}

// The process is killed at every change of the script, and the next one finds no
// room at all. It opens, has what was answered, and deletes. What it then saves is
// saved, deletions included.
func TestKilledAndThenFull(t *testing.T) {
	whole := newScript(crash.New())
	require.NoError(t, whole.run())
	opened, changes := 0, whole.disk.Changes()
	for cut := 1; cut <= changes; cut++ {
		for _, bytes := range []bool{false, true} {
			where := fmt.Sprintf("killed at %d, bytes %t", cut, bytes)
			disk := newFilling()
			s := newScript(disk.Disk)
			s.fs = disk
			disk.bytes = bytes
			disk.CutAt(cut)
			require.ErrorIs(t, s.runUntilPower(), crash.ErrPower, where)
			chance := crash.Some(rand.New(rand.NewPCG(uint64(cut), 5)))
			disk.Kill(chance)
			disk.full = true
			if _, err := disk.Stat("format"); err != nil {
				require.ErrorIs(t, s.open(), guest.ErrNoSpace, where)
				continue
			}
			opened++
			require.NoError(t, s.open(), where)
			is := make(history)
			for k, v := range found(t, s.store, s.history, where) {
				newest, begun := s.acked.newest(k), s.history.newest(k)
				require.Contains(t, []string{newest, begun}, v[0], where)
				is.note(k, v[0])
			}
			for n := range scriptKeys {
				if n%2 == cut%2 {
					require.NoError(t, s.store.Delete(key(n), 1), where)
					is[name(n)] = []string{""}
				} else if is.newest(name(n)) == "" {
					err := s.store.Set(guest.Write{Key: key(n), Value: value(1, 9000), Now: 1})
					require.ErrorIs(t, err, guest.ErrNoSpace, where)
				}
			}
			found(t, s.store, is, where)
			if cut%3 == 0 { // what the first did not save, the next one saves
				disk.Kill(chance)
				require.NoError(t, s.open(), where)
				found(t, s.store, is, where)
			}
			require.NoError(t, s.store.Save(1), where)
			disk.Restart([]crash.Survival{crash.Nothing, crash.Everything, chance}[cut%3])
			require.NoError(t, s.open(), where)
			found(t, s.store, is, where+", and the power went")

			disk.full = false
			for n := range scriptKeys {
				require.NoError(t, s.store.Set(guest.Write{Key: key(n), Value: value(99, 100), Now: 1}), where)
			}
			require.NoError(t, s.store.Save(1), where)
		}
	}
	require.Greater(t, opened, changes)
}

// A record whose sync has failed is written again. Where there is no room for a new
// file, it is written to its own slot, unless it may have been saved there.
func TestSyncFailsAndThenFull(t *testing.T) {
	for _, killed := range []bool{false, true} {
		disk := newFilling()
		s := openFilling(t, disk)
		set(t, s, key(1), value(1, 300))
		require.NoError(t, s.Save(1))
		set(t, s, key(1), value(2, 300))
		set(t, s, key(2), value(1, 300))
		disk.Hook(func(op crash.Op) (int, error) {
			if op.Kind == crash.Sync {
				return 0, syscall.EIO
			}
			return 0, nil
		})
		require.ErrorIs(t, s.Save(1), guest.ErrUnavailable)
		disk.Hook(nil)
		disk.full = true
		if killed {
			disk.Kill(crash.Nothing)
			s = openFilling(t, disk)
			require.NoError(t, s.Delete(key(2), 1))
			require.ErrorIs(t, s.Save(1), guest.ErrNoSpace, "a sync after a failed one is not believed")
			has(t, s, key(1), value(2, 300), 1)
			disk.full = false
		}
		require.NoError(t, s.Save(1))
		disk.Restart(crash.Nothing)
		disk.full = true
		s = openFilling(t, disk)
		has(t, s, key(1), value(2, 300), 1)
		if killed {
			has(t, s, key(2), nil, 1)
		} else {
			has(t, s, key(2), value(1, 300), 1)
		}
	}
}

func openFilling(t testing.TB, disk *filling) *folder.Store {
	t.Helper()
	s, err := folder.Open(disk, folder.Options{Shards: 1})
	require.NoError(t, err)
	return s
}

// One record that cannot be made durable keeps no other from being saved, least of
// all a log-out.
func TestSaveGoesOnAfterAFailure(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	for n := range 10 {
		set(t, s, key(n), value(1, 300))
	}
	require.NoError(t, s.Save(1))
	for n := range 10 {
		set(t, s, key(n), value(2, 300))
	}
	require.NoError(t, s.Delete(key(9), 1))
	damaged := ""
	disk.Hook(func(op crash.Op) (int, error) {
		if op.Kind == crash.Sync && (damaged == "" || damaged == op.Name) {
			damaged = op.Name
			return 0, syscall.EIO
		}
		return 0, nil
	})
	require.ErrorIs(t, s.Save(1), guest.ErrUnavailable)
	disk.Restart(crash.Nothing)
	s = open(t, disk)
	old := 0
	for n := range 9 {
		v, err := s.Get(key(n), 1)
		require.NoError(t, err)
		if string(v) == string(value(1, 300)) {
			old++
		} else {
			require.Equal(t, value(2, 300), v)
		}
	}
	require.Equal(t, 1, old)
	has(t, s, key(9), nil, 1)
}

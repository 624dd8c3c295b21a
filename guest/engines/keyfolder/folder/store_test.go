package folder_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
)

func Example() {
	disk := crash.New()
	store, err := folder.Open(disk, folder.Options{Shards: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = store.Set(guest.Write{Key: []byte("key"), Value: []byte("revision and value")})
	_ = store.Save(0)
	disk.Restart(crash.Nothing) // the power went and came

	store, _ = folder.Open(disk, folder.Options{Shards: 1})
	value, err := store.Get([]byte("key"), 0)
	fmt.Println(string(value), err)
	// Output: revision and value <nil>
}

func open(t testing.TB, fs vfs.FS) *folder.Store {
	t.Helper()
	s, err := folder.Open(fs, folder.Options{Shards: 1})
	require.NoError(t, err)
	return s
}

// key returns a key of the kind that a host uses.
func key(n int) []byte {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	return sum[:]
}

// value returns a value with a revision, whose every byte depends on it.
func value(revision, size int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(revision))
	for len(b) < size {
		b = append(b, byte(revision*31+len(b)))
	}
	return b[:max(size, 8)]
}

func set(t testing.TB, s *folder.Store, k, v []byte) {
	t.Helper()
	require.NoError(t, s.Set(guest.Write{Key: k, Value: v, Now: 1}))
}

// has requires that a key has a value, or none.
func has(t testing.TB, s *folder.Store, k, v []byte, now int64) {
	t.Helper()
	got, err := s.Get(k, now)
	if v == nil {
		require.ErrorIs(t, err, guest.ErrNotFound)
		return
	}
	require.NoError(t, err)
	require.True(t, bytes.Equal(v, got), "%d bytes are not the %d that were stored", len(got), len(v))
}

// tree lists all files and directories of a disk, sorted by their paths, and
// the contents of files if asked.
func tree(t testing.TB, fs vfs.FS) []string {
	var list []string
	var visit func(dir string)
	visit = func(dir string) {
		entries, err := fs.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			name := strings.TrimPrefix(dir+"/"+e.Name, "/")
			list = append(list, name)
			if e.Kind == vfs.Dir {
				visit(name)
			}
		}
	}
	visit("")
	return list
}

// sessions counts the files with records.
func sessions(t testing.TB, fs vfs.FS) (n int) {
	for _, name := range tree(t, fs) {
		if strings.HasSuffix(name, "/session") {
			n++
		}
	}
	return n
}

func TestOperations(t *testing.T) {
	sizes := []int{0, 1, 7, 8, 9, 300, 4096 - 40 - 32 - 1, 4096 - 40 - 32, 4096 - 40 - 32 + 1, 5000, 300 << 10, 1 << 20}
	for _, saved := range []bool{false, true} {
		for _, size := range sizes {
			for _, keyLen := range []int{1, 31, 32, 33, 55, 56, 64, 200, 1024} {
				t.Run(fmt.Sprintf("saved %v, key %d, value %d", saved, keyLen, size), func(t *testing.T) {
					disk := crash.New()
					s := open(t, disk)
					k := bytes.Repeat([]byte{0, '/', '.'}, 400)[:keyLen]
					v := value(5, size)[:size]
					require.NoError(t, s.Set(guest.Write{Key: k, Value: v, Expires: 100, Now: 1, Expect: abi.ExpectAbsent}))
					if saved {
						require.NoError(t, s.Save(1))
					}
					has(t, s, k, v, 99)
					has(t, s, k, nil, 100)
					has(t, s, append(bytes.Clone(k[1:]), 'x'), nil, 1)
					disk.Kill(crash.Nothing)
					s = open(t, disk)
					has(t, s, k, v, 99)

					require.NoError(t, s.Touch(k, 200, 2))
					has(t, s, k, v, 199)
					require.NoError(t, s.Save(2))
					disk.Restart(crash.Nothing)
					s = open(t, disk)
					has(t, s, k, v, 199)
					has(t, s, k, nil, 200)
					require.NoError(t, s.Delete(k, 2))
					has(t, s, k, nil, 2)
					require.NoError(t, s.Save(2))
					disk.Restart(crash.Nothing)
					has(t, open(t, disk), k, nil, 2)
				})
			}
		}
	}
}

func TestConditions(t *testing.T) {
	k, v5, v6 := key(1), value(5, 300), value(6, 5000)
	for _, c := range []struct {
		name    string
		stored  []byte
		expires int64 // of what is stored; it is 10 now
		expect  int64
		want    error
	}{
		{"any, none", nil, 0, abi.ExpectAny, nil},
		{"any, one", v5, 0, abi.ExpectAny, nil},
		{"absent, none", nil, 0, abi.ExpectAbsent, nil},
		{"absent, one", v5, 0, abi.ExpectAbsent, guest.ErrConflict},
		{"absent, an expired one", v5, 10, abi.ExpectAbsent, nil},
		{"absent, one about to expire", v5, 11, abi.ExpectAbsent, guest.ErrConflict},
		{"revision, none", nil, 0, 5, guest.ErrConflict},
		{"revision, this one", v5, 0, 5, nil},
		{"revision, this one, long", value(5, 9000), 0, 5, nil},
		{"revision, another", v5, 0, 4, guest.ErrConflict},
		{"revision, an expired one", v5, 10, 5, guest.ErrConflict},
		{"revision of a short value", []byte{5, 1}, 0, 0x105, nil},
		{"large revision", []byte{1, 0, 0, 0, 0, 0, 0, 0x80}, 0, -1<<63 + 1, nil},
	} {
		for how, prepare := range map[string]func(*testing.T, *crash.Disk, *folder.Store) *folder.Store{
			"pending": func(_ *testing.T, _ *crash.Disk, s *folder.Store) *folder.Store { return s },
			"saved": func(t *testing.T, _ *crash.Disk, s *folder.Store) *folder.Store {
				require.NoError(t, s.Save(1))
				return s
			},
			"read": func(t *testing.T, _ *crash.Disk, s *folder.Store) *folder.Store {
				require.NoError(t, s.Save(1))
				_, _ = s.Get(k, 1)
				return s
			},
			"saved and opened": func(t *testing.T, disk *crash.Disk, s *folder.Store) *folder.Store {
				require.NoError(t, s.Save(1))
				return open(t, disk)
			},
			"killed": func(t *testing.T, disk *crash.Disk, _ *folder.Store) *folder.Store {
				disk.Kill(crash.Nothing)
				return open(t, disk)
			},
		} {
			for _, expired := range []bool{false, true} {
				t.Run(fmt.Sprint(c.name, ", ", how, ", removing ", expired), func(t *testing.T) {
					disk := crash.New()
					s := open(t, disk)
					if c.stored != nil {
						require.NoError(t, s.Set(guest.Write{Key: k, Value: c.stored, Expires: c.expires, Now: 1}))
					}
					s = prepare(t, disk, s)
					w := guest.Write{Key: k, Value: v6, Now: 10, Expect: c.expect}
					if expired {
						w.Expires = 10
					}
					err := s.Set(w)
					stored := c.stored
					if guest.Expired(c.expires, 10) {
						stored = nil
					}
					switch {
					case c.want != nil:
						require.ErrorIs(t, err, c.want)
						has(t, s, k, stored, 10)
					case expired:
						require.NoError(t, err)
						has(t, s, k, nil, 10)
					default:
						require.NoError(t, err)
						has(t, s, k, v6, 10)
					}
				})
			}
		}
	}
}

// To make room, changes are made durable, and after a killed process their
// records are read and written again. That must not disturb a value that was
// read before.
func TestTouchWithLittleRoom(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(0), value(1, 300))
	require.NoError(t, s.Save(1))
	for k := 1; k < 40; k++ {
		set(t, s, key(k), value(100+k, 300))
	}
	disk.Kill(crash.Nothing)
	s, err := folder.Open(disk, folder.Options{Shards: 1, MaxPending: 16})
	require.NoError(t, err)
	require.NoError(t, s.Touch(key(0), 1000, 1))
	has(t, s, key(0), value(1, 300), 999)
	for k := 1; k < 40; k++ {
		has(t, s, key(k), value(100+k, 300), 1)
	}
}

func TestOpenRefuses(t *testing.T) {
	disk := crash.New()
	_, err := folder.Open(disk, folder.Options{Shards: 4})
	require.NoError(t, err)
	for _, c := range []struct {
		options folder.Options
		message string
	}{
		{folder.Options{Shards: 0}, "the shard is 0 of 0"},
		{folder.Options{Shards: 4, Shard: 4}, "the shard is 4 of 4"},
		{folder.Options{Shards: 4, Shard: -1}, "the shard is -1 of 4"},
		{folder.Options{Shards: 4, MaxPending: 15}, "at least 16"},
		{folder.Options{Shards: 2}, "made for 4 shards, not for 2"},
	} {
		_, err := folder.Open(disk, c.options)
		require.ErrorIs(t, err, guest.ErrInvalid)
		require.ErrorContains(t, err, c.message)
	}
}

// Shards of one directory do not affect one another.
func TestShards(t *testing.T) {
	disk := crash.New()
	var stores []*folder.Store
	for shard := range 4 {
		s, err := folder.Open(disk, folder.Options{Shard: shard, Shards: 4})
		require.NoError(t, err)
		set(t, s, key(1), value(shard+1, 300))
		stores = append(stores, s)
	}
	require.NoError(t, stores[2].Clear(1))
	for shard, s := range stores {
		require.NoError(t, s.Save(1))
		v := value(shard+1, 300)
		if shard == 2 {
			v = nil
		}
		has(t, s, key(1), v, 1)
	}
	disk.Restart(crash.Nothing)
	s, err := folder.Open(disk, folder.Options{Shard: 3, Shards: 4})
	require.NoError(t, err)
	has(t, s, key(1), value(4, 300), 1)
}

// The calls to the host are most of what an operation costs.
func TestCalls(t *testing.T) {
	disk := crash.New()
	s := open(t, disk)
	set(t, s, key(1), value(1, 300))
	require.NoError(t, s.Save(1))
	s = open(t, disk)
	calls := func(f func() error) int {
		before := disk.Calls()
		require.NoError(t, f())
		return disk.Calls() - before
	}
	get := func(n int) func() error {
		return func() error {
			if _, err := s.Get(key(n), 1); err != guest.ErrNotFound {
				return err
			}
			return nil
		}
	}
	put := func(n int, revision int, expect int64) func() error {
		return func() error {
			return s.Set(guest.Write{Key: key(n), Value: value(revision, 300), Now: 1, Expect: expect})
		}
	}
	save := func() error { return s.Save(1) }
	for _, c := range []struct {
		what string
		do   func() error
		want int
	}{
		{"save nothing", save, 0},
		{"get absent", get(9), 1},
		{"delete absent", func() error { return s.Delete(key(9), 1) }, 2},
		{"set, not read before", put(1, 2, 1), 1 + 1 + 1 + 1 + 1 + 1},
		{"get a pending record", get(1), 3},
		{"set a pending record", put(1, 3, 2), 3},
		{"set it without a condition", put(1, 4, 0), 3},
		{"save one, and make two slots empty", save, 3 + 2 + 1},
		{"save nothing more", save, 0},
		{"get", get(1), 3},
		{"set with a condition, after a get", put(1, 5, 4), 5},
		{"save one", save, 3 + 1 + 1},
		{"set without a condition", put(1, 6, 0), 5},
		{"touch", func() error { return s.Touch(key(1), 99, 1) }, 3 + 3},
		{"delete a pending record", func() error { return s.Delete(key(1), 1) }, 2},
		{"get a deleted record", get(1), 0},
		{"save that", save, 1 + 3 + 1},
		{"set a new record", put(1, 7, abi.ExpectAbsent), 1 + 2 + 1 + 4},
		{"save it and, for the first time in this life, what is above the leaf", save, 4 + 3*4 + 3 + 1}, // side by side costs a call
		{"delete", func() error { return s.Delete(key(1), 1) }, 4},
		{"save that deletion", save, 1 + 3 + 1},
		{"set a new record once more", put(1, 5, abi.ExpectAbsent), 1 + 2 + 1 + 4},
		{"save it as well", save, 4 + 4 + 3 + 1},
	} {
		require.Equal(t, c.want, calls(c.do), c.what)
	}
}

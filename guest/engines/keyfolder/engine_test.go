package main_test

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/internal/wasmtest"
)

// The module over a real directory does what the store does over the simulated
// one. Its instances come and go without notice.
func TestModule(t *testing.T) {
	m, dir := wasmtest.Compile(t, memoryLimit), t.TempDir()
	i := m.Open(t, dir)
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	model := make(map[uint64]uint64)
	for step := uint64(1); step < 1500; step++ {
		n := rng.Uint64N(60)
		revision, ok := model[n]
		switch rng.IntN(12) {
		case 0, 1, 2, 3:
			expect := int64(abi.ExpectAbsent)
			if ok {
				expect = int64(revision)
			}
			require.Zero(t, i.Set(key(n), value(step, 8+rng.IntN(6000)), 0, 1, expect), m.Failed)
			model[n] = step
		case 4:
			require.Equal(t, abi.Conflict, i.Set(key(n), value(step, 8), 0, 1, 1<<40))
		case 5:
			require.Zero(t, i.Delete(key(n), 1), m.Failed)
			delete(model, n)
		case 6:
			if code := i.Touch(key(n), 1<<40, 1); ok {
				require.Zero(t, code, m.Failed)
			} else {
				require.Equal(t, abi.NotFound, code)
			}
		case 7:
			require.Zero(t, i.Save(1), m.Failed)
		case 8:
			require.GreaterOrEqual(t, i.Sweep(1, 30), int64(0), m.Failed)
		case 9:
			if rng.IntN(8) == 0 {
				i.Close()
				i = m.Open(t, dir)
			}
		default:
			got, code := i.Get(key(n), 1)
			if !ok {
				require.Equal(t, abi.NotFound, code)
				break
			}
			require.Zero(t, code, m.Failed)
			require.Equal(t, value(revision, len(got)), got)
		}
	}
	i.Close()
	i = m.Open(t, dir)
	for n := range uint64(60) {
		got, code := i.Get(key(n), 1)
		if revision, ok := model[n]; ok {
			require.Zero(t, code, m.Failed)
			require.Equal(t, value(revision, len(got)), got)
		} else {
			require.Equal(t, abi.NotFound, code)
		}
	}
	require.Zero(t, i.Clear(1), m.Failed)
	require.Zero(t, i.Save(1), m.Failed)
	for range 300 { // each call is bounded
		require.GreaterOrEqual(t, i.Sweep(1, 1<<20), int64(0), m.Failed)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.Subset(t, []string{"format", "pending-0", "sessions-0"}, names)
}

// The calls of WASI that each operation takes.
func TestModuleCalls(t *testing.T) {
	m := wasmtest.CompileCounted(t, memoryLimit)
	i := m.Open(t, t.TempDir())
	require.Zero(t, i.Set(key(1), value(1, 300), 0, 1, abi.ExpectAbsent))
	require.Zero(t, i.Save(1))
	for _, c := range []struct {
		name string
		do   func() abi.Code
		want map[string]int
	}{
		{"get", func() abi.Code { _, code := i.Get(key(1), 1); return code },
			map[string]int{"path_open": 1, "fd_pread": 1, "fd_close": 1}},
		{"set", func() abi.Code { return i.Set(key(1), value(2, 300), 0, 1, 1) },
			map[string]int{"path_filestat_get": 1, "path_open": 1, "fd_pwrite": 2, "fd_close": 1}},
		{"set again", func() abi.Code { return i.Set(key(1), value(3, 300), 0, 1, 2) },
			map[string]int{"path_open": 1, "fd_pwrite": 1, "fd_close": 1}},
		{"save", func() abi.Code { return i.Save(1) },
			map[string]int{"path_open": 1, "fd_sync": 1, "fd_close": 1, "fd_pwrite": 2, "fd_filestat_set_size": 1}},
		{"save nothing", func() abi.Code { return i.Save(1) }, map[string]int{}},
		{"get an absent record", func() abi.Code {
			if _, code := i.Get(key(2), 1); code != abi.NotFound {
				return abi.Internal
			}
			return 0
		}, map[string]int{"path_open": 1}},
		{"set a new record, where there is no directory", func() abi.Code { return i.Set([]byte("abc"), value(1, 300), 0, 1, abi.ExpectAbsent) },
			map[string]int{"path_filestat_get": 1, "path_open": 2, "path_create_directory": 5, "fd_filestat_set_size": 1, "fd_pwrite": 2, "fd_close": 1}},
		{"delete a record that was read", func() abi.Code { return i.Delete(key(1), 1) },
			map[string]int{"path_filestat_get": 1, "fd_pwrite": 1, "path_unlink_file": 1, "path_remove_directory": 1}},
	} {
		got := m.Counted(func() { require.Zero(t, c.do(), m.Failed) }, "fd_", "path_")
		require.Equal(t, c.want, got, c.name)
	}
}

// The largest values fit, one after the other, into the memory that instances have
// by default.
func TestModuleLargeValues(t *testing.T) {
	m, dir := wasmtest.Compile(t, memoryLimit), t.TempDir()
	i := m.Open(t, dir)
	v := make([]byte, 4<<20)
	_, _ = rand.Read(v)
	require.Equal(t, abi.TooLarge, i.Set(key(1), append(v, 0), 0, 1, abi.ExpectAny))
	for round := range int64(3) {
		for n := range uint64(3) {
			v[0]++
			require.Zero(t, i.Set(key(n), v, 0, 1, abi.ExpectAny), m.Failed)
			got, code := i.Get(key(n), 1)
			require.Zero(t, code, m.Failed)
			require.True(t, string(got) == string(v))
			require.Zero(t, i.Touch(key(n), 1<<40+round, 1), m.Failed)
		}
		require.Zero(t, i.Save(1), m.Failed)
		i.Close()
		i = m.Open(t, dir)
		for range 3 {
			got, code := i.Get(key(2), 1)
			require.Zero(t, code, m.Failed)
			require.True(t, string(got) == string(v))
		}
	}
}

// With the least memory that the engine opens with, the largest values fit, along
// with as many changes as are remembered. With less, it refuses to open and says
// so.
func TestModuleLeastMemory(t *testing.T) {
	const least = 16 << 20
	m := wasmtest.Compile(t, least)
	i := m.Open(t, t.TempDir())
	for n := range uint64(least/8/160 + 100) {
		require.Zero(t, i.Set(key(1000+n), value(1, 20), 0, 1, abi.ExpectAny), m.Failed)
	}
	v := make([]byte, 4<<20)
	_, _ = rand.Read(v)
	for n := range uint64(8) {
		require.Zero(t, i.Set(key(n%3), v, 0, 1, abi.ExpectAny), m.Failed)
		got, code := i.Get(key(n%3), 1)
		require.Zero(t, code, m.Failed)
		require.True(t, string(got) == string(v))
		require.Zero(t, i.Touch(key(n%3), 1<<40+int64(n), 1), m.Failed)
	}
	require.Zero(t, i.Save(1), m.Failed)

	m.MemoryLimit = least - 1
	require.Equal(t, abi.Invalid, m.Instantiate(t, t.TempDir()).Open())
	require.Equal(t, "memory_limit is 16777215 bytes: must be at least 16777216 for each shard", m.Failed)
}

func TestModuleRefuses(t *testing.T) {
	m, dir := wasmtest.Compile(t, memoryLimit), t.TempDir()
	m.Open(t, dir, abi.ConfigShard, "1", abi.ConfigShards, "4")
	for _, c := range []struct {
		settings []string
		message  string
	}{
		{[]string{abi.ConfigShard, "0", abi.ConfigShards, "8"}, "made for 4 shards, not for 8"},
		{[]string{"size", "4"}, "the setting size is unknown"},
	} {
		m.Failed = ""
		require.Equal(t, abi.Invalid, m.Instantiate(t, dir).Open(c.settings...))
		require.Contains(t, m.Failed, c.message)
	}
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "format"), []byte("waddle dynfile 1\nshards 1\n"), 0o600))
	require.Equal(t, abi.Invalid, m.Instantiate(t, other).Open())
	require.Contains(t, m.Failed, "it belongs to the engine dynfile, not to keyfolder")
}

// The directory looks as README.md shows it.
func TestModuleOnDisk(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are not those of files there")
	}
	m, dir := wasmtest.Compile(t, memoryLimit), t.TempDir()
	i := m.Open(t, dir)
	const folder = "sessions-0/ba/7/ba7816bf8f01cfea414140de5dae2223"
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(b)
	}
	v := append(binary.LittleEndian.AppendUint64(nil, 1), "hello"...)
	require.Zero(t, i.Set([]byte("abc"), v, 1767225660000, 1, 0))
	require.Len(t, read(folder+"/session"), 12288)
	require.Zero(t, i.Save(1))
	require.Len(t, read(folder+"/session"), 12289)
	require.Equal(t, "waddle keyfolder 1\nshards 1\n", read("format"))
	require.Equal(t, "waddle keyfolder pending list 1\n", read("pending-0"))

	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	session := read(folder + "/session")
	require.Contains(t, string(page), "```\n"+dump(session[:64])+"```\n")
	require.Empty(t, strings.Trim(session[64:], "\x00"))

	require.NoError(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		require.NoError(t, err)
		if path != dir && !info.IsDir() {
			require.Equal(t, "-rw-------", info.Mode().String(), path)
		}
		return nil
	}))
}

// dump is what od -A d -t x1z prints.
func dump(s string) string {
	var b strings.Builder
	for at := 0; at < len(s); at += 16 {
		line := s[at : at+16]
		fmt.Fprintf(&b, "%07d % x  >", at, line)
		for _, c := range []byte(line) {
			if c < ' ' || c > '~' {
				c = '.'
			}
			b.WriteByte(c)
		}
		b.WriteString("<\n")
	}
	return b.String()
}

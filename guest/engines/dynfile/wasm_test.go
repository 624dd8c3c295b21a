package main_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/internal/wasmtest"
)

const limit = 64 << 20

// keyOf makes a key like those that the host derives from ids.
func keyOf(n int) []byte {
	key := make([]byte, 32)
	binary.LittleEndian.PutUint64(key, uint64(n)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(key[8:], uint64(n))
	return key
}

func TestModule(t *testing.T) {
	m, dir := wasmtest.CompileCounted(t, limit), t.TempDir()
	i := m.Open(t, dir)
	value := []byte("\x01\x00\x00\x00\x00\x00\x00\x00the value")
	require.Zero(t, i.Set(keyOf(1), value, 0, 1, abi.ExpectAbsent))
	require.Equal(t, abi.Conflict, i.Set(keyOf(1), value, 0, 1, abi.ExpectAbsent))
	got, code := i.Get(keyOf(1), 1)
	require.Zero(t, code)
	require.Equal(t, value, got)
	require.Zero(t, i.Save(1))

	count := func(what string, want int, f func()) {
		calls := 0
		for _, n := range m.Counted(f) {
			calls += n
		}
		require.Equal(t, want, calls, "calls of the system for %s", what)
	}
	count("a get", 0, func() { i.Get(keyOf(1), 1) })
	count("a get of an absent record", 0, func() { i.Get(keyOf(9), 1) })
	count("a set", 1, func() { require.Zero(t, i.Set(keyOf(2), value, 0, 1, 0)) })
	count("a set with a condition", 1, func() { require.Zero(t, i.Set(keyOf(2), value, 0, 1, 1)) })
	count("a save", 3, func() { require.Zero(t, i.Save(1)) })
	count("a save with nothing to do", 0, func() { require.Zero(t, i.Save(1)) })
	count("a delete", 1, func() { require.Zero(t, i.Delete(keyOf(2), 1)) })

	i.Close() // like a killed process, without notice
	i = m.Open(t, dir)
	for _, calls := range []int{1, 0} {
		count("a get after opening again", calls, func() { got, code = i.Get(keyOf(1), 1) })
		require.Zero(t, code)
		require.Equal(t, value, got)
	}
	_, code = i.Get(keyOf(2), 1)
	require.Equal(t, abi.NotFound, code)

	i.Close()
	i = m.Open(t, dir, "cache_bytes", "0")
	i.Get(keyOf(1), 1)
	count("a get without memory for it", 1, func() { i.Get(keyOf(1), 1) })

	format, err := os.ReadFile(filepath.Join(dir, "format"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(format), "waddle dynfile 1\nshards 1\n"))
}

func TestModuleRefuses(t *testing.T) {
	m, dir := wasmtest.Compile(t, limit), t.TempDir()
	for _, c := range []struct {
		settings []string
		message  string
	}{
		{[]string{"max_bytes", "1MiB"}, "max_bytes is \"1MiB\": must be at least 8388608"},
		{[]string{"max_bytes", "64MiB", "segment_bytes", "8MiB"}, "segment_bytes is \"8MiB\": must be at most 4194304, a sixteenth"},
		{[]string{"segment_bytes", "1"}, "segment_bytes is \"1\": must be 65536 to"},
		{[]string{"cache_bytes", "100KiB"}, "cache_bytes is \"100KiB\": must be 0 or at least 524288, for all shards together"},
		{[]string{"cache_bytes", "23MiB"}, "cache_bytes is \"23MiB\": must be at most 23068672, for all shards together, with a memory_limit of 67108864"},
		{[]string{"colour", "blue"}, "the setting colour is unknown"},
		{[]string{"memory_limit", "1MiB"}, "memory_limit is 1048576 bytes: must be at least"},
	} {
		i := m.Instantiate(t, dir)
		require.Equal(t, abi.Invalid, i.Open(c.settings...))
		require.Contains(t, m.Failed, c.message)
		i.Close()
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "what is refused writes nothing")
}

// TestModuleCompacts writes much more than it keeps, and finds everything it
// keeps.
func TestModuleCompacts(t *testing.T) {
	m, dir := wasmtest.Compile(t, limit), t.TempDir()
	settings := []string{"max_bytes", "16MiB"}
	i := m.Open(t, dir, settings...)
	value := make([]byte, 400)
	const keys = 10_000
	for n := range 15 * keys {
		binary.LittleEndian.PutUint64(value, uint64(n+1))
		require.Zero(t, i.Set(keyOf(n%keys), value, 0, 1, 0), m.Failed)
		if n%50_000 == 0 {
			require.Zero(t, i.Save(1))
		}
	}
	size := int64(0)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if info, _ := d.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return err
	}))
	require.Less(t, size, int64(16<<20))
	for range 2 {
		for n := range keys {
			got, code := i.Get(keyOf(n), 1)
			require.Zero(t, code)
			require.EqualValues(t, 14*keys+n+1, abi.Revision(got))
		}
		i.Close()
		i = m.Open(t, dir, settings...)
	}
}

// TestModuleWithinItsMemory fills an instance with as many sessions as its memory
// has room for, fills its files with more that are gone, and opens it again.
// Opening takes no more memory than running, and a session that does not fit is
// refused.
func TestModuleWithinItsMemory(t *testing.T) {
	const limit = 24 << 20
	m, dir := wasmtest.Compile(t, limit), t.TempDir()
	open := func() *wasmtest.Instance { return m.Open(t, dir) }
	i := open()
	empty := i.Memory.Size()
	value := make([]byte, 60)
	binary.LittleEndian.PutUint64(value, 1)
	sessions := 0
	for ; ; sessions++ {
		code := i.Set(keyOf(sessions), value, 0, 1, 0)
		if code != 0 {
			require.Equal(t, abi.NoSpace, code)
			require.Contains(t, m.Failed, "raise memory_limit")
			break
		}
	}
	require.Greater(t, sessions, 60_000)
	require.Zero(t, i.Delete(keyOf(0), 1))
	large := make([]byte, 1<<20)
	// Twice as many come and go, with records of every size.
	for n := range 2 * sessions {
		gone := keyOf(10_000_000 + n)
		require.Zero(t, i.Set(gone, value, 0, 1, 0), m.Failed)
		require.Zero(t, i.Delete(gone, 1))
	}
	for size := 100_000; size < len(large); size += 9_000 {
		require.Zero(t, i.Set(keyOf(1), large[:size], 0, 1, 0), m.Failed)
	}
	require.Zero(t, i.Set(keyOf(1), value, 0, 1, 0))
	require.Zero(t, i.Save(1))
	i.Close()
	i = open()
	t.Logf("%d sessions: %d bytes of memory, %d when it was empty", sessions, i.Memory.Size(), empty)
	require.LessOrEqual(t, int(i.Memory.Size()), int(empty)+52*sessions+2<<20)
	for n := 1; n < sessions; n += 7 {
		_, code := i.Get(keyOf(n), 1)
		require.Zero(t, code, m.Failed)
	}
	i.Close()
}

func BenchmarkSet(b *testing.B) {
	i := wasmtest.Compile(b, limit).Open(b, b.TempDir())
	value := make([]byte, 300)
	b.ResetTimer()
	for n := range b.N {
		if code := i.Set(keyOf(n%20_000), value, 0, 1, 0); code != 0 {
			b.Fatal(code)
		}
	}
}

// BenchmarkCreate is BenchmarkSet without anything to compact.
func BenchmarkCreate(b *testing.B) {
	i := wasmtest.Compile(b, limit).Open(b, b.TempDir())
	value := make([]byte, 300)
	b.ResetTimer()
	for n := range b.N {
		if code := i.Set(keyOf(n), value, 0, 1, -1); code != 0 {
			b.Fatal(code)
		}
	}
}

// BenchmarkGet reads sessions that are in memory, and sessions of which none is.
func BenchmarkGet(b *testing.B) {
	for name, settings := range map[string][]string{"in memory": nil, "from the file": {"cache_bytes", "0"}} {
		b.Run(name, func(b *testing.B) {
			const sessions = 1000
			i := wasmtest.Compile(b, limit).Open(b, b.TempDir(), settings...)
			keys := make([][]byte, sessions)
			for n := range keys {
				keys[n] = keyOf(n * 7919 % sessions)
				i.Set(keys[n], make([]byte, 300), 0, 1, 0)
			}
			for n := 0; b.Loop(); n++ {
				if _, code := i.Get(keys[n%sessions], 1); code != 0 {
					b.Fatal(code)
				}
			}
		})
	}
}

func BenchmarkSetAndSave(b *testing.B) {
	i := wasmtest.Compile(b, limit).Open(b, b.TempDir())
	value := make([]byte, 300)
	b.ResetTimer()
	for n := range b.N {
		i.Set(keyOf(n%20_000), value, 0, 1, 0)
		if code := i.Save(1); code != 0 {
			b.Fatal(code)
		}
	}
}

// BenchmarkAppend is what BenchmarkSet is compared with.
func BenchmarkAppend(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	require.NoError(b, err)
	defer f.Close()
	record := make([]byte, 376)
	b.ResetTimer()
	for n := range b.N {
		if _, err := f.WriteAt(record, int64(n*len(record))); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendAndSync is what BenchmarkSetAndSave is compared with.
func BenchmarkAppendAndSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	require.NoError(b, err)
	defer f.Close()
	record := make([]byte, 376)
	b.ResetTimer()
	for n := range b.N {
		_, _ = f.WriteAt(record, int64(n*len(record)))
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens a quarter of a million sessions, one shard's share of a
// million, with hints and without.
func BenchmarkOpen(b *testing.B) {
	const sessions = 250_000
	m, dir := wasmtest.Compile(b, limit), b.TempDir()
	i := m.Open(b, dir)
	for n := range sessions {
		require.Zero(b, i.Set(keyOf(n), make([]byte, 300), 0, 1, 0))
	}
	require.Zero(b, i.Save(1))
	for range 400 {
		i.Sweep(1, 2000)
	}
	require.Zero(b, i.Save(1))
	i.Close()
	run := func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			i := m.Instantiate(b, dir)
			b.StartTimer()
			require.Zero(b, i.Open())
			b.StopTimer()
			b.ReportMetric(float64(i.Memory.Size()), "memory-B")
			_, code := i.Get(keyOf(sessions/2), 1)
			require.Zero(b, code)
			i.Close()
		}
	}
	b.Run("hints", run)
	hints, err := filepath.Glob(filepath.Join(dir, "shard-0", "*.hint"))
	require.NoError(b, err)
	require.NotEmpty(b, hints)
	for _, name := range hints {
		require.NoError(b, os.Remove(name))
	}
	b.Run("scan", run)
}

// BenchmarkPause writes while compaction works all the time, and reports the
// longest call.
func BenchmarkPause(b *testing.B) {
	i := wasmtest.Compile(b, limit).Open(b, b.TempDir(), "max_bytes", "64MiB")
	value := make([]byte, 300)
	const keys = 50_000
	for n := range keys {
		i.Set(keyOf(n), value, 0, 1, 0)
	}
	b.ResetTimer()
	var longest, over time.Duration
	for n := range b.N {
		start := time.Now()
		if code := i.Set(keyOf(n*7919%keys), value, 0, 1, 0); code != 0 {
			b.Fatal(code)
		}
		if d := time.Since(start); d > longest {
			longest = d
		} else if d > time.Millisecond {
			over++
		}
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
	b.ReportMetric(float64(over), "over-1ms")
}

// Two copies draw the salts of their files and the keys of their hashes by themselves.
func TestCopiesHaveSecretsOfTheirOwn(t *testing.T) {
	m := wasmtest.Compile(t, limit)
	dirs := []string{t.TempDir(), t.TempDir()}
	a, b := m.Copies(t, dirs...)
	for _, i := range []*wasmtest.Instance{a, b} {
		require.Zero(t, i.Open())
		require.Zero(t, i.Set(keyOf(1), []byte("\x01\x00\x00\x00\x00\x00\x00\x00value"), 0, 1, abi.ExpectAny))
		require.Zero(t, i.Save(1))
	}
	var headers [2][]byte
	for i, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "shard-0", "*.segment"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		headers[i], err = os.ReadFile(files[0])
		require.NoError(t, err)
	}
	require.Equal(t, headers[0][:12], headers[1][:12])
	for name, at := range map[string]int{"salt": 32, "first half of the key": 56, "second half of the key": 64} {
		require.NotEqual(t, headers[0][at:at+8], headers[1][at:at+8], name)
	}
}

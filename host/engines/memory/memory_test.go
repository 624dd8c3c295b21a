package memory_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

var ctx = context.Background()

func quiet() plugin.Config {
	return plugin.Config{Shards: 2, MemoryLimit: 32 << 20, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func open(t *testing.T, config plugin.Config) *plugin.Plugin {
	t.Helper()
	p, err := memory.Open(ctx, config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(ctx) })
	return p
}

func value(i int) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, 1), fmt.Sprintf("value %d", i)...)
}

func fill(t *testing.T, s store.Store, n int) {
	t.Helper()
	now := store.At(time.Now())
	for i := range n {
		require.NoError(t, s.Set(ctx, store.Write{Key: fmt.Append(nil, "key ", i), Value: value(i), Now: now, Expires: now + 3600_000}))
	}
}

// held returns how many of the keys of fill are present, all with their values.
func held(t *testing.T, s store.Store, n int) (found int) {
	t.Helper()
	for i := range n {
		v, err := s.Get(ctx, fmt.Append(nil, "key ", i), store.At(time.Now()))
		if err == nil {
			require.Equal(t, value(i), v)
			found++
			continue
		}
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	return found
}

func TestOpenDescribesItself(t *testing.T) {
	p := open(t, quiet())
	info := p.Info()
	require.Equal(t, "memory", p.Name())
	require.Equal(t, "memory", info.Name)
	require.Contains(t, info.Capabilities, "cas")
	fill(t, p, 100)
	require.Equal(t, 100, held(t, p, 100))
}

func TestSettingsAreChecked(t *testing.T) {
	config := quiet()
	config.GuestConfig = map[string]string{"max_entires": "7"}
	_, err := memory.Open(ctx, config)
	require.ErrorIs(t, err, plugin.ErrOpen)
	require.ErrorContains(t, err, "max_entires")
}

func TestSnapshotCarriesSessionsOver(t *testing.T) {
	for _, c := range []struct {
		name string
		save func(p *plugin.Plugin) error
	}{
		{"closing", func(p *plugin.Plugin) error { return p.Close(ctx) }},
		{"saving", func(p *plugin.Plugin) error { return p.Save(ctx, store.At(time.Now())) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := quiet()
			config.Snapshots = filepath.Join(t.TempDir(), "made")
			p := open(t, config)
			fill(t, p, 500)
			require.NoError(t, c.save(p))

			// A crash leaves the directory as it is now, without its lock.
			config.Snapshots = copyDir(t, config.Snapshots)
			config.Shards = 8
			config.MemoryLimit = 64 << 20
			require.Equal(t, 500, held(t, open(t, config), 500))
		})
	}
}

func TestSnapshotIsWrittenInIntervals(t *testing.T) {
	config := quiet()
	config.Snapshots = t.TempDir()
	config.SaveInterval = 5 * time.Millisecond
	p := open(t, config)
	fill(t, p, 10)
	file := filepath.Join(config.Snapshots, "sessions.snapshot")
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(file)
		return err == nil && bytes.Contains(b, []byte("value 9"))
	}, time.Minute, 5*time.Millisecond)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}

func TestSnapshotDamaged(t *testing.T) {
	config := quiet()
	config.Snapshots = t.TempDir()
	p := open(t, config)
	fill(t, p, 20000) // several blocks
	require.NoError(t, p.Close(ctx))
	file := filepath.Join(config.Snapshots, "sessions.snapshot")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)

	for _, c := range []struct {
		name  string
		alter func(b []byte) []byte
	}{
		{"cut off", func(b []byte) []byte { return b[:len(b)/2] }},
		{"without its end", func(b []byte) []byte { return b[:len(b)-1] }},
		{"a bit", func(b []byte) []byte { b[len(b)*3/4] ^= 1; return b }},
		{"a length beyond", func(b []byte) []byte { copy(b[len(b)-16:], "\xff\xff\xff\x7f"); return b }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := config
			config.Snapshots = t.TempDir()
			damaged := filepath.Join(config.Snapshots, "sessions.snapshot")
			require.NoError(t, os.WriteFile(damaged, c.alter(bytes.Clone(whole)), 0o600))
			p := open(t, config)
			found := held(t, p, 20000)
			require.Positive(t, found, "the intact part is there")
			_, err := os.Stat(damaged + ".damaged")
			require.NoError(t, err, "the damaged file is kept")
			require.NoError(t, p.Close(ctx))
		})
	}
	for _, c := range []struct{ name, content string }{
		{"a newer form", "waddle snapshot 2\n........"},
		{"something else", "SQLite format 3\x00........"},
		{"nothing", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := config
			config.Snapshots = t.TempDir()
			foreign := filepath.Join(config.Snapshots, "sessions.snapshot")
			require.NoError(t, os.WriteFile(foreign, []byte(c.content), 0o600))
			_, err := memory.Open(ctx, config)
			require.ErrorIs(t, err, plugin.ErrDirectory)
			require.ErrorContains(t, err, "sessions.snapshot")
			left, err := os.ReadFile(foreign)
			require.NoError(t, err)
			require.Equal(t, c.content, string(left), "nothing is lost")
		})
	}
}

func TestSnapshotDirectoryIsForOne(t *testing.T) {
	config := quiet()
	config.Snapshots = t.TempDir()
	first := open(t, config)
	_, err := memory.Open(ctx, config)
	require.ErrorIs(t, err, plugin.ErrInUse)
	require.ErrorContains(t, err, fmt.Sprint(os.Getpid()))
	require.NoError(t, first.Close(ctx))
	open(t, config)
}

func copyDir(t *testing.T, dir string) string {
	to := t.TempDir()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, e.Name()), b, 0o600))
	}
	return to
}

func Example() {
	engine, err := memory.Open(context.Background(), plugin.Config{
		MemoryLimit: 64 << 20,
		GuestConfig: map[string]string{"max_entries": "100000"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(context.Background())
	fmt.Println(engine.Info().Name)
	// Output: memory
}

// Evictions are counted, and reported with the limit that caused them.
func TestEvictionsAreCounted(t *testing.T) {
	for limit, settings := range map[string]map[string]string{
		"max_entries":  {"max_entries": "64"},
		"max_bytes":    {"max_bytes": "1MiB"},
		"memory_limit": nil,
		"max_entries ": {"max_entries": "64", "max_bytes": "1MiB"},
	} {
		t.Run(limit, func(t *testing.T) {
			config := quiet()
			config.Shards, config.MemoryLimit, config.GuestConfig = 1, 8<<20, settings
			p := open(t, config)
			now := store.At(time.Now())
			require.Equal(t, int64(0), p.Stats().Counts.Records)
			const n = 20_000
			for i := range n {
				w := store.Write{Key: fmt.Append(nil, "key ", i), Value: bytes.Repeat([]byte("v"), 300), Now: now, Expires: now + 3600_000}
				require.NoError(t, p.Set(ctx, w))
			}
			counts := p.Stats().Counts
			require.Equal(t, strings.TrimSpace(limit), counts.Limit)
			require.NotZero(t, counts.Evicted)
			require.Equal(t, int64(n), counts.Records+int64(counts.Evicted), "every missing record was counted")
			require.Greater(t, counts.Bytes, counts.Records*300)
			require.Less(t, counts.Bytes, int64(8<<20))

			removed, err := p.Sweep(ctx, n, now+3600_000)
			require.NoError(t, err)
			after := p.Stats().Counts
			require.EqualValues(t, counts.Records, removed)
			require.EqualValues(t, removed, after.Expired)
			require.Zero(t, after.Records)
			require.NoError(t, p.Recycle(ctx))
			require.Equal(t, counts.Evicted, p.Stats().Counts.Evicted, "a new instance does not start the count again")
		})
	}
}

// Package guests_test runs the conformance suite on the storage plugins of this folder, one
// store in five languages, and checks what they promise beyond it.
package guests_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

const (
	now      = store.Millis(1_767_225_600_000)
	maxValue = 1 << 20
)

// languages are the folders beside this file.
var languages = []string{"assemblyscript", "c", "go", "rust", "zig"}

func file(language string) string { return filepath.Join(language, "store.wasm") }

// cacheDir keeps compiled code for all tests here.
var cacheDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if cacheDir, err = os.MkdirTemp("", "guests"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(cacheDir)
		return m.Run()
	}())
}

func eachGuest(t *testing.T, test func(t *testing.T, file string)) {
	t.Helper()
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			test(t, file(language))
		})
	}
}

func quiet() plugin.Config {
	return plugin.Config{Shards: 1, CacheDir: cacheDir, SweepInterval: -1, MemoryLimit: 64 << 20,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func open(t *testing.T, file string, config plugin.Config) *plugin.Plugin {
	t.Helper()
	p, err := plugin.OpenFile(t.Context(), file, config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

func key(i int) []byte { return fmt.Appendf(nil, "the key of session %d", i) }

// skipLong skips tests that would take minutes.
func skipLong(t *testing.T) {
	t.Helper()
	if raceEnabled || testing.Short() {
		t.Skip("takes long, especially under the race detector")
	}
}

// value is n bytes, the first eight of them a revision.
func value(revision, n int) []byte {
	v := make([]byte, max(n, abi.RevisionSize))
	for i := range v {
		v[i] = byte(revision + i)
	}
	copy(v, []byte{byte(revision), byte(revision >> 8), byte(revision >> 16), 1, 0, 0, 0, 0})
	return v
}

func TestEveryFolderIsTested(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	var folders []string
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, e.Name())
		}
	}
	require.Equal(t, languages, folders)
}

// TestDescription: they are one store and describe themselves as such.
func TestDescription(t *testing.T) {
	eachGuest(t, func(t *testing.T, file string) {
		info := open(t, file, quiet()).Info()
		require.Equal(t, "example-store", info.Name)
		require.Equal(t, "1.0.0", info.Version)
		require.Equal(t, []string{abi.CapabilityCAS}, info.Capabilities)
		require.Equal(t, abi.MaxKey, info.MaxKey)
		require.Equal(t, maxValue, info.MaxValue)
		for _, optional := range []string{abi.ExportDescribe, abi.ExportTouch, abi.ExportSweep, abi.ExportKeys,
			abi.ExportSnapshot, abi.ExportRestore} {
			require.NotNil(t, info.Module.Export(optional), optional)
		}
	})
}

func TestSettings(t *testing.T) {
	eachGuest(t, func(t *testing.T, file string) {
		for _, c := range []struct {
			name, value string
			says        string // "" if it is accepted
		}{
			{"max_records", "4", ""},
			{"max_records", "999999999", ""},
			{"max_record", "4", "the setting max_record is unknown: this engine has max_records"},
			{"max_records_", "4", "the setting max_records_ is unknown"},
			{"x", "", "the setting x is unknown"},
			{"max_records", "", "must be a whole number"},
			{"max_records", "0", "must be"},
			{"max_records", "3", "at least 1 for each shard"},
			{"max_records", "-4", "must be"},
			{"max_records", "4 ", "must be"},
			{"max_records", "4x", "must be"},
			{"max_records", "1000000000", "must be"},
			{"max_records", "18446744073709551620", "must be"},
			{"max_records", strings.Repeat("7", 600), "must be"},
			{strings.Repeat("m", 600), "4", "is unknown"},
		} {
			t.Run(start(c.name)+"="+start(c.value), func(t *testing.T) {
				config := quiet()
				config.Shards = 4
				config.GuestConfig = map[string]string{c.name: c.value}
				p, err := plugin.OpenFile(t.Context(), file, config)
				if c.says == "" {
					require.NoError(t, err)
					require.NoError(t, p.Close(t.Context()))
					return
				}
				require.ErrorIs(t, err, plugin.ErrOpen)
				require.ErrorContains(t, err, "the setting "+start(c.name))
				if c.name == "max_records" {
					require.ErrorContains(t, err, `is "`+start(c.value))
					require.ErrorContains(t, err, `": must be`)
				}
				require.ErrorContains(t, err, c.says)
			})
		}
	})
}

// TestSmallMemoryLimit: languages whose runtimes need memory of their own refuse less.
func TestSmallMemoryLimit(t *testing.T) {
	for language, limit := range map[string]int64{"go": 7 << 20, "assemblyscript": 2 << 20} {
		config := quiet()
		config.MemoryLimit = limit
		_, err := plugin.OpenFile(t.Context(), file(language), config)
		require.ErrorIs(t, err, plugin.ErrOpen, language)
		require.ErrorContains(t, err, fmt.Sprintf(`the setting memory_limit is "%d": must be at least `, limit), language)
	}
}

// start returns as much of a text as a message must show.
func start(text string) string { return text[:min(len(text), 100)] }

func TestMaxRecords(t *testing.T) {
	eachGuest(t, func(t *testing.T, file string) {
		config := quiet()
		config.GuestConfig = map[string]string{"max_records": "10"}
		p := open(t, file, config)
		set := func(i int, expires, at int64) error {
			return p.Set(t.Context(), store.Write{Key: key(i), Value: value(i, 100), Expires: store.Millis(expires), Now: store.Millis(at)})
		}
		for i := range 10 {
			require.NoError(t, set(i, int64(now+store.Millis(i)+1), int64(now)))
		}
		err := set(10, 0, int64(now))
		require.ErrorIs(t, err, store.ErrNoSpace)
		require.ErrorContains(t, err, "max_records", "the answer says what to do")
		require.NoError(t, set(3, 0, int64(now)), "overwriting needs no room")
		require.NoError(t, set(10, 0, int64(now+1)), "the first one has expired")
		require.ErrorIs(t, set(11, 0, int64(now+1)), store.ErrNoSpace)
		require.NoError(t, p.Touch(t.Context(), key(9), now+2, now+1))
		require.NoError(t, set(11, 0, int64(now+2)), "two more have, one of them touched")
		require.NoError(t, set(12, 0, int64(now+2)))
		require.ErrorIs(t, set(13, 0, int64(now+2)), store.ErrNoSpace)
		require.NoError(t, p.Delete(t.Context(), key(3), now+2))
		require.NoError(t, set(13, 0, int64(now+2)))

		// A list that is too large is refused as a whole.
		before := records(t, p, int64(now+2))
		err = p.Restore(t.Context(), list(
			store.Record{Key: key(13), Value: value(99, 9)}, store.Record{Key: key(14), Value: value(99, 9)}), now+2)
		require.ErrorIs(t, err, store.ErrNoSpace)
		require.Equal(t, before, records(t, p, int64(now+2)), "an error has changed nothing")
		require.NoError(t, p.Restore(t.Context(), list(store.Record{Key: key(13), Value: value(99, 9)}), now+2))
		require.NoError(t, p.Restore(t.Context(), list(
			store.Record{Key: key(14), Value: value(99, 9)}), now+5), "expired records make room")
		require.NoError(t, p.Clear(t.Context(), now))
		for i := range 10 {
			require.NoError(t, set(i, 0, int64(now)))
		}
		require.ErrorIs(t, set(10, 0, int64(now)), store.ErrNoSpace)
		require.NoError(t, p.Touch(t.Context(), key(5), now+1, now))
		require.ErrorIs(t, set(10, 0, int64(now)), store.ErrNoSpace)
		require.NoError(t, set(10, 0, int64(now+1)), "a record that was to stay for ever has expired since it was touched")
		require.Zero(t, p.Stats().Restarts)
	})
}

func list(records ...store.Record) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func records(t *testing.T, p *plugin.Plugin, at int64) map[string]string {
	t.Helper()
	found := map[string]string{}
	for r, err := range p.Snapshot(t.Context(), store.Millis(at)) {
		require.NoError(t, err)
		found[string(r.Key)] = fmt.Sprint(r.Expires, " ", string(r.Value))
	}
	return found
}

// TestMemoryLimit: a guest that is given more than its memory holds answers NO_SPACE, keeps
// what it has, and takes more when there is room again.
func TestMemoryLimit(t *testing.T) {
	skipLong(t)
	for name, size := range map[string]func(*rand.Rand) int{
		"small values": func(*rand.Rand) int { return 300 },
		"mixed values": func(r *rand.Rand) int { return 8 + int(1<<(3+r.IntN(12))) + r.IntN(1000) },
		"large values": func(*rand.Rand) int { return maxValue },
	} {
		t.Run(name, func(t *testing.T) {
			eachGuest(t, func(t *testing.T, file string) { fillAndEmpty(t, file, size) })
		})
	}
}

func fillAndEmpty(t *testing.T, file string, size func(*rand.Rand) int) {
	config := quiet()
	config.MemoryLimit = 24 << 20
	p := open(t, file, config)
	random := rand.New(rand.NewPCG(1, 2))
	var stored, before int
	for round := range 3 {
		held := map[int]int{} // sizes by number
		stored = 0
		// Half of them expire. Half of the refused ones are followed by others, which may be
		// smaller.
		for i, refused := 0, 0; refused < 20; i++ {
			n := size(random)
			expires := int64(0)
			if i%2 == 0 {
				expires = int64(now + 1000)
			}
			err := p.Set(t.Context(), store.Write{Key: key(i), Value: value(i, n), Expires: store.Millis(expires), Now: now})
			if err != nil {
				require.ErrorIs(t, err, store.ErrNoSpace)
				refused++
				continue
			}
			held[i] = n
			stored += n
		}
		require.Greater(t, stored, 2<<20, "a fair part of the memory holds values")
		if round == 0 {
			before = stored
		}
		require.Greater(t, stored, before*3/4, "freed memory is used for others in round %d", round)

		// When each is at its limit, everything is still there and can be changed.
		for i, n := range held {
			got, err := p.Get(t.Context(), key(i), now)
			if err != nil || !bytes.Equal(got, value(i, n)) {
				t.Fatalf("round %d, record %d: %d bytes, error %v", round, i, len(got), err)
			}
		}
		seen := 0
		for _, err := range p.Snapshot(t.Context(), now) {
			require.NoError(t, err)
			seen++
		}
		require.Equal(t, len(held), seen)
		switch round % 3 {
		case 0: // an expired record makes room without being swept
			n := 0
			for i := range len(held) / 4 {
				if p.Set(t.Context(), store.Write{Key: key(1e6 + i), Value: value(i, size(random)), Now: now + 1000}) == nil {
					n++
				}
			}
			require.GreaterOrEqual(t, n, max(1, len(held)/8))
			require.NoError(t, p.Clear(t.Context(), now))
		case 1:
			for i := range held {
				require.NoError(t, p.Delete(t.Context(), key(i), now))
			}
		case 2:
			require.NoError(t, p.Save(t.Context(), now+1000))
			require.NoError(t, p.Clear(t.Context(), now))
		}
		require.Empty(t, records(t, p, int64(now)))
	}
	stats := p.Stats()
	require.Zero(t, stats.Restarts, "no instance failed: %+v", stats)
	require.LessOrEqual(t, stats.Memory, config.MemoryLimit)
}

// TestOverwritingTakesNoMemory: the memory reaches a plateau.
func TestOverwritingTakesNoMemory(t *testing.T) {
	skipLong(t)
	eachGuest(t, func(t *testing.T, file string) {
		config := quiet()
		config.MemoryLimit = 256 << 20
		p := open(t, file, config)
		random := rand.New(rand.NewPCG(3, 4))
		var half int64
		const rounds = 60_000
		for i := range rounds {
			k := key(random.IntN(500))
			if i == rounds/2 {
				half = p.Stats().Memory
			}
			if random.IntN(8) == 0 {
				require.NoError(t, p.Delete(t.Context(), k, now))
				continue
			}
			require.NoError(t, p.Set(t.Context(), store.Write{Key: k, Value: value(i, 8+random.IntN(4000)), Now: now}))
		}
		require.LessOrEqual(t, p.Stats().Memory, half+half/8, "memory grows with the operations and not with what is stored")
		require.Less(t, p.Stats().Memory, int64(32<<20), "500 records of 2 KB")
	})
}

// TestRecycle: records outlive their instance, whatever their size.
func TestRecycle(t *testing.T) {
	eachGuest(t, func(t *testing.T, file string) {
		p := open(t, file, quiet())
		for i := range 3000 {
			n := i % 700
			if i%500 == 0 {
				n = maxValue
			}
			require.NoError(t, p.Set(t.Context(), store.Write{Key: key(i), Value: value(i, n), Expires: 1 << 60, Now: now}))
		}
		before := records(t, p, int64(now))
		require.Len(t, before, 3000)
		for range 3 {
			require.NoError(t, p.Recycle(t.Context()))
		}
		require.Equal(t, before, records(t, p, int64(now)))
		for i := range 3000 {
			got, err := p.Get(t.Context(), key(i), now)
			require.NoError(t, err)
			require.True(t, before[string(key(i))] == fmt.Sprint(int64(1)<<60, " ", string(got)), "record %d", i)
		}
	})
}

// TestRecordsThatFillTheBuffer: a record that just fits when it comes in also fits when it
// goes out, with what a chunk puts in front of it.
func TestRecordsThatFillTheBuffer(t *testing.T) {
	eachGuest(t, func(t *testing.T, file string) {
		for _, size := range []int{4096, 8192, 64 << 10, abi.MaxKey + maxValue} {
			p := open(t, file, quiet())
			for less := range 40 {
				k := bytes.Repeat([]byte{byte(size >> 8), byte(less), 'k'}, abi.MaxKey)[:abi.MaxKey]
				v := value(less, size-less-len(k))
				// The second one lies after the buffer, if that is how memory is allocated.
				w := store.Write{Key: k, Value: v, Now: now}
				require.NoError(t, p.Set(t.Context(), w))
				w.Key = bytes.ToUpper(k)
				require.NoError(t, p.Set(t.Context(), w))
				require.Len(t, records(t, p, int64(now)), 2)
				require.NoError(t, p.Recycle(t.Context()))
				got, err := p.Get(t.Context(), k, now)
				require.NoError(t, err)
				require.True(t, bytes.Equal(v, got), "%d bytes of value", len(v))
				require.NoError(t, p.Clear(t.Context(), now))
			}
			require.Equal(t, uint64(40), p.Stats().Restarts, "those of the recycling")
			require.NoError(t, p.Close(t.Context()))
		}
	})
}

// TestEnumerationDuringChanges: a key that is there throughout is named.
func TestEnumerationDuringChanges(t *testing.T) {
	eachGuest(t, func(t *testing.T, file string) {
		p := open(t, file, quiet())
		random := rand.New(rand.NewPCG(5, 6))
		for round := range 4 {
			const n = 4000 // some chunks
			for i := range n {
				require.NoError(t, p.Set(t.Context(), store.Write{Key: key(i), Value: value(i, 30), Now: now}))
			}
			seen := map[string]bool{}
			for k, err := range p.Keys(t.Context(), now) {
				require.NoError(t, err)
				seen[string(k)] = true
				// Odd keys are added and removed; even ones stay and are overwritten.
				i := random.IntN(n)
				if i%2 == 0 {
					err = p.Set(t.Context(), store.Write{Key: key(i), Value: value(i, random.IntN(60)), Now: now})
				} else {
					err = p.Delete(t.Context(), key(i), now)
				}
				require.NoError(t, err)
				if random.IntN(4) == 0 {
					require.NoError(t, p.Set(t.Context(), store.Write{Key: key(n + random.IntN(n)*2 + 1), Value: value(1, 30), Now: now}))
				}
			}
			for i := 0; i < n; i += 2 {
				require.True(t, seen[string(key(i))], "round %d, key %d", round, i)
			}
			require.NoError(t, p.Clear(t.Context(), now))
		}
	})
}

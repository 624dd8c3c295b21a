package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/engines/internal/wasmtest"
)

func hashed(n int) []byte {
	key := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	return key[:]
}

// The module must stay within its memory limit however it is filled: running out is a trap,
// which fails these tests.
func TestModuleNeverRunsOutOfMemory(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	phase := func(n, total, phases int) int { return n * phases / total }
	fillings := []struct {
		name   string
		writes int
		size   func(n, total int) int
	}{
		{"one size", 15_000, func(int, int) int { return 300 }},
		{"empty values", 50_000, func(int, int) int { return 0 }},
		{"growing", 4000, func(n, total int) int { return 8 + n*20_000/total }},
		{"small, large, small, huge, small", 10_000, func(n, total int) int {
			return []int{40, 10_000, 40, 200_000, 300}[phase(n, total, 5)]
		}},
		{"the largest", 40, func(int, int) int { return 1 << 20 }},
		{"growing exchange at the end", 15_000, func(n, total int) int {
			return max(300, 1<<20-(total-n)*10_000)
		}},
		{"churn of all sizes", 3000, func(int, int) int { return 1<<random.IntN(20) + random.IntN(50) }},
		{"every size", 10_000, func(n, _ int) int { return n % 3000 }},
	}
	for _, limit := range []int{13 << 19, 8 << 20, 16 << 20} {
		m := wasmtest.Compile(t, limit)
		for _, filling := range fillings {
			t.Run(filling.name+" in "+strconv.Itoa(limit>>10)+" KiB", func(t *testing.T) {
				i := m.Instantiate(t, "")
				require.Zero(t, i.Open(abi.ConfigMemoryLimit, strconv.Itoa(limit)))
				value := make([]byte, 2<<20)
				refused := 0
				for n := range filling.writes {
					key := hashed(random.IntN(filling.writes))
					v := value[:filling.size(n, filling.writes)]
					if len(v) >= 8 {
						binary.LittleEndian.PutUint64(v, uint64(n))
					}
					switch code := i.Set(key, v, 0, 1, 0); code {
					case 0:
						got, code := i.Get(key, 1)
						if code != 0 || !bytes.Equal(got, v) {
							require.Zero(t, code)
							require.Equal(t, len(v), len(got))
							require.Fail(t, "another value than was stored")
						}
					case abi.TooLarge, abi.NoSpace:
						require.Greater(t, len(v), 256<<10, "refused with %s", code)
						refused++
					default:
						require.Zero(t, code, m.Failed)
					}
				}
				if limit > 8<<20 {
					require.Zero(t, refused)
				}
				// All operations still work, and chunks find room.
				restored := m.Instantiate(t, "")
				require.Zero(t, restored.Open(abi.ConfigMemoryLimit, strconv.Itoa(limit)))
				for cursor := int64(0); ; {
					r := i.Call(abi.ExportSnapshot, uint64(cursor), 1)
					require.GreaterOrEqual(t, r, int64(0))
					next, list, ok := abi.CutCursor(i.Read(r))
					require.True(t, ok)
					if len(list) > 0 {
						require.True(t, restored.Write(list))
						require.Zero(t, restored.Call(abi.ExportRestore, uint64(restored.Exchange), uint64(len(list)), 1))
					}
					if cursor = next; next == 0 {
						break
					}
				}
				require.Zero(t, i.Call(abi.ExportSave, 1))
				require.Zero(t, i.Call(abi.ExportClear, 1))
				require.Zero(t, i.Set([]byte("k"), value[:4096], 0, 1, -1))
				t.Logf("memory %d of %d KiB, %d refused", i.Memory.Size()>>10, limit>>10, refused)
				require.LessOrEqual(t, int(i.Memory.Size()), limit)
			})
		}
	}
}

// Hundreds of thousands of calls to a full instance must not bring it any closer to its end.
func TestModuleDoesNotGrowOnceFull(t *testing.T) {
	const limit = 10 << 20
	i := wasmtest.Compile(t, limit).Open(t, "")
	value := make([]byte, 300)
	for n := range 20_000 {
		require.Zero(t, i.Set(hashed(n), value, 0, 1, 0))
	}
	before := i.Memory.Size()
	absent := []byte("absent")
	for n := range 100_000 {
		if n%100 == 0 {
			i.Set(hashed(n), value[:n%300], int64(n), int64(n), 0)
		}
		i.Get(absent, 1)
		i.Write(absent)
		i.Call(abi.ExportTouch, uint64(i.Exchange), uint64(len(absent)), 5, 1)
		i.Call(abi.ExportSet, uint64(i.Exchange), 0, uint64(i.Exchange), 0, 0, 1, 0) // no key
	}
	require.Equal(t, before, i.Memory.Size())
}

func TestModuleRefusesTooLittleMemory(t *testing.T) {
	m := wasmtest.Compile(t, 64<<20)
	const least = 13 << 19
	require.Equal(t, abi.Invalid, m.Instantiate(t, "").Open(abi.ConfigMemoryLimit, strconv.Itoa(least-1)))
	require.Equal(t, "memory_limit is 6815743 bytes: must be at least 6815744 (6.5 MiB)", m.Failed)
	require.Zero(t, m.Instantiate(t, "").Open(abi.ConfigMemoryLimit, strconv.Itoa(least)))
}

// What a session costs beyond key and value, counting all memory of the module.
func TestModuleOverheadPerSession(t *testing.T) {
	const sessions, size, limit = 250_000, 300, 256 << 20
	i := wasmtest.Compile(t, limit).Open(t, "")
	value := make([]byte, size)
	empty := i.Memory.Size()
	for n := range sessions {
		require.Zero(t, i.Set(hashed(n), value, 0, 1, -1))
	}
	overhead := float64(i.Memory.Size())/sessions - 32 - size
	t.Logf("%d KiB when empty; per session %.1f bytes more than key and value", empty>>10, overhead)
	require.Less(t, overhead, 64.0)
	for n := range sessions {
		got, code := i.Get(hashed(n), 1)
		require.Zero(t, code)
		require.Len(t, got, size)
	}
}

package protocol

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestCycle(t *testing.T) {
	for _, c := range []struct{ before, length int }{{0, 1}, {0, 2}, {3, 1}, {100, 7}, {1000, 1000}} {
		var found cycle
		n := 0
		for found.add(int64(1 + min(n, c.before) + max(0, n-c.before)%c.length)) {
			n++
			require.Less(t, n, 5*(c.before+c.length)+10, "%+v", c)
		}
	}
	var ends cycle
	for i := range 100_000 {
		require.True(t, ends.add(int64(i+1)))
	}
	require.True(t, ends.add(0))
}

func FuzzDescribe(f *testing.F) {
	f.Add([]byte("name\x00tiny store\x00max_key\x00128\x00"))
	f.Add([]byte("max_value\x0099999999999999999999\x00"))
	f.Add([]byte("capabilities\x00 cas  cas\x1b \x00"))
	f.Fuzz(func(t *testing.T, list []byte) {
		d, err := parseDescription(list)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, d.MaxKey, LeastKey)
		require.LessOrEqual(t, d.MaxKey, abi.MaxKey)
		require.GreaterOrEqual(t, d.MaxValue, LeastValue)
		require.LessOrEqual(t, d.MaxValue, abi.MaxValue)
		for _, s := range append(d.Capabilities, d.Name, d.Version) {
			require.Equal(t, printable.Clean(s), s)
		}
	})
}

func FuzzChunk(f *testing.F) {
	f.Add(abi.AppendKey(abi.AppendKey(nil, []byte("a")), []byte("key")), false)
	f.Add(abi.AppendRecord(nil, []byte("a"), []byte("value"), 5), true)
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255}, true)
	f.Fuzz(func(t *testing.T, list []byte, records bool) {
		if records {
			if checkRecords(list) != nil {
				return
			}
			n := 0
			for {
				key, value, _, rest, ok := abi.NextRecord(list[n:])
				if !ok {
					require.Empty(t, rest)
					return
				}
				require.NotEmpty(t, key)
				n += 16 + len(key) + len(value)
			}
		}
		if checkKeys(list) != nil {
			return
		}
		n := 0
		for {
			key, rest, ok := abi.NextKey(list[n:])
			if !ok {
				require.Empty(t, rest)
				return
			}
			require.NotEmpty(t, key)
			n += 4 + len(key)
		}
	})
}

// Every operation of a store is counted under its name, except closing.
func TestOperationsAreThoseOfAStore(t *testing.T) {
	counted := slices.DeleteFunc(slices.Clone(opNames[:]), func(op store.Op) bool { return op == "flush" || op == "idle" })
	require.ElementsMatch(t, store.Ops(), append(counted, store.OpClose))
}

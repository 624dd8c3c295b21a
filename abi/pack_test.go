package abi_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

func TestPack(t *testing.T) {
	for _, c := range []struct {
		ptr, length uint32
		result      int64
	}{
		{0, 0, 0},
		{0, 1, 1},
		{1, 0, 1 << 32},
		{0x20100, 11, 0x000201000000000b},
		{1<<31 - 1, math.MaxUint32, math.MaxInt64},
	} {
		require.Equal(t, c.result, abi.Pack(c.ptr, c.length))
		ptr, length := abi.Unpack(c.result)
		require.Equal(t, c.ptr, ptr)
		require.Equal(t, c.length, length)
	}
	require.Negative(t, abi.Pack(1<<31, 0), "which is why a region lies below MaxMemory")
}

func TestRevision(t *testing.T) {
	for _, c := range []struct {
		value    []byte
		revision uint64
	}{
		{nil, 0},
		{[]byte{}, 0},
		{[]byte{5}, 5},
		{[]byte{0, 1}, 256},
		{[]byte{1, 2, 3, 4, 5, 6, 7}, 0x07060504030201},
		{[]byte{1, 2, 3, 4, 5, 6, 7, 8}, 0x0807060504030201},
		{[]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, 0x0807060504030201},
		{[]byte{255, 255, 255, 255, 255, 255, 255, 255}, math.MaxUint64},
	} {
		require.Equal(t, c.revision, abi.Revision(c.value), "%v", c.value)
	}
}

func TestPairs(t *testing.T) {
	var list []byte
	want := [][2]string{{"a", "1"}, {"b", ""}, {"", "c"}, {"ż", "=\n"}}
	for _, p := range want {
		list = abi.AppendPair(list, p[0], p[1])
	}
	var got [][2]string
	rest := list
	for {
		key, value, next, ok := abi.NextPair(rest)
		if !ok {
			break
		}
		got, rest = append(got, [2]string{key, value}), next
	}
	require.Equal(t, want, got)
	require.Empty(t, rest)
	for _, bad := range []string{"a", "a\x00", "a\x00b", "\x00"} {
		_, _, rest, ok := abi.NextPair([]byte(bad))
		require.False(t, ok, "%q", bad)
		require.Equal(t, bad, string(rest), "what is left shows that it is not a pair")
	}
}

func TestRecords(t *testing.T) {
	list := abi.AppendRecord(nil, []byte("key"), []byte("value"), math.MinInt64)
	list = abi.AppendRecord(list, []byte("k"), nil, 0)
	key, value, expires, rest, ok := abi.NextRecord(list)
	require.True(t, ok)
	require.Equal(t, "key value", fmt.Sprintf("%s %s", key, value))
	require.Equal(t, int64(math.MinInt64), expires)
	require.Len(t, rest, 17)
	_ = append(key, "overwritten"...) // must not reach the value
	require.Equal(t, "value", string(value))
	key, value, expires, rest, ok = abi.NextRecord(rest)
	require.True(t, ok)
	require.Equal(t, "k", string(key))
	require.Empty(t, value)
	require.Zero(t, expires)
	require.Empty(t, rest)
	_, _, _, _, ok = abi.NextRecord(rest)
	require.False(t, ok)

	for n := 1; n < 24; n++ {
		_, _, _, rest, ok := abi.NextRecord(list[:n])
		require.False(t, ok, "cut at %d", n)
		require.Len(t, rest, n)
	}
	huge := append([]byte{255, 255, 255, 255, 255, 255, 255, 255}, make([]byte, 100)...)
	_, _, _, _, ok = abi.NextRecord(huge)
	require.False(t, ok, "lengths whose sum does not fit into 32 bits")
}

func TestKeys(t *testing.T) {
	chunk := abi.AppendCursor(nil, math.MaxInt64)
	chunk = abi.AppendKey(chunk, []byte("key"))
	chunk = abi.AppendKey(chunk, nil)
	next, list, ok := abi.CutCursor(chunk)
	require.True(t, ok)
	require.Equal(t, int64(math.MaxInt64), next)
	key, rest, ok := abi.NextKey(list)
	require.True(t, ok)
	require.Equal(t, "key", string(key))
	key, rest, ok = abi.NextKey(rest)
	require.True(t, ok)
	require.Empty(t, key)
	require.Empty(t, rest)
	for n := 1; n < 7; n++ {
		_, rest, ok := abi.NextKey(list[:n])
		require.False(t, ok, "cut at %d", n)
		require.Len(t, rest, n)
	}
	_, _, ok = abi.NextKey([]byte{255, 255, 255, 255, 1})
	require.False(t, ok)
	for n := range 8 {
		_, _, ok := abi.CutCursor(chunk[:n])
		require.False(t, ok, "cut at %d", n)
	}
	next, list, ok = abi.CutCursor(chunk[:8])
	require.True(t, ok)
	require.Equal(t, int64(math.MaxInt64), next)
	require.Empty(t, list)
}

// FuzzLists: any list is either read to its end or refused, and what is read is written
// again as it was.
func FuzzLists(f *testing.F) {
	f.Add([]byte{})
	f.Add(abi.AppendRecord(nil, []byte("key"), []byte("value"), 5))
	f.Add(abi.AppendKey(abi.AppendKey(nil, []byte("key")), nil))
	f.Add(abi.AppendPair(nil, "a", "1"))
	f.Add([]byte{255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, list []byte) {
		var again []byte
		rest := list
		for {
			key, value, expires, next, ok := abi.NextRecord(rest)
			if !ok {
				break
			}
			again, rest = abi.AppendRecord(again, key, value, expires), next
		}
		require.Equal(t, string(list), string(again)+string(rest))

		again, rest = nil, list
		for {
			key, next, ok := abi.NextKey(rest)
			if !ok {
				break
			}
			again, rest = abi.AppendKey(again, key), next
		}
		require.Equal(t, string(list), string(again)+string(rest))

		again, rest = nil, list
		for {
			key, value, next, ok := abi.NextPair(rest)
			if !ok {
				break
			}
			again, rest = abi.AppendPair(again, key, value), next
		}
		require.Equal(t, string(list), string(again)+string(rest))
	})
}

func ExampleNextPair() {
	config := abi.AppendPair(nil, "max_entries", "100")
	config = abi.AppendPair(config, abi.ConfigShard, "0")
	for rest := config; ; {
		key, value, next, ok := abi.NextPair(rest)
		if !ok {
			break
		}
		fmt.Println(key, "=", value)
		rest = next
	}
	// Output:
	// max_entries = 100
	// shard = 0
}

package plugin

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, ünïcode 鸭": "plain text, ünïcode 鸭",
		"a\nb\tc\rd":            "a\ufffdb\ufffdc\ufffdd",
		"\x1b[31mred":           "\ufffd[31mred",
		"\u202eback\u2028":      "\ufffdback\ufffd",
		"half \xe9":             "half \ufffd",
		"\x00\x7f\u0085":        "\ufffd\ufffd\ufffd",
	} {
		require.Equal(t, want, clean(in))
	}
	require.Equal(t, "a\nb\tc\ufffd", cleanLines("a\nb\tc\r"))
}

func TestCut(t *testing.T) {
	text := []byte("aé鸭\U0001f986z")
	for n := range len(text) + 2 {
		got := cut(text, n)
		require.LessOrEqual(t, len(got), n)
		require.Greater(t, len(got), min(n, len(text))-4)
		require.True(t, utf8.Valid(got), "%d", n)
	}
	require.Equal(t, []byte("\xff\xff"), cut([]byte("\xff\xff\xff"), 2), "what is not text is not shortened further")
}

func TestTail(t *testing.T) {
	var all strings.Builder
	var got tail
	for i := range 2000 {
		s := fmt.Sprintf("%d,", i)
		all.WriteString(s)
		got.write([]byte(s))
		want := all.String()
		require.Equal(t, want[max(0, len(want)-maxTail):], string(got.b))
	}
	got.write([]byte(strings.Repeat("x", 3*maxTail)))
	require.Equal(t, strings.Repeat("x", maxTail), string(got.b))
}

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

func TestLogLevel(t *testing.T) {
	for in, want := range map[int32]slog.Level{
		-4: slog.LevelDebug, 0: slog.LevelInfo, 4: slog.LevelWarn, 8: slog.LevelError,
		-1 << 31: slog.LevelDebug, -1: slog.LevelDebug, 3: slog.LevelInfo, 7: slog.LevelWarn, 1<<31 - 1: slog.LevelError,
	} {
		require.Equal(t, want, logLevel(in), "%d", in)
	}
}

func TestSleepIsBoundedForACall(t *testing.T) {
	var in instance
	for range 100 {
		in.sleep(1 << 50)
		in.sleep(-1)
	}
	require.Equal(t, maxSleep, in.slept)
}

func TestLinearMemory(t *testing.T) {
	var m linearMemory
	m.reserve(4 * pageSize)
	require.NoError(t, m.err)
	require.Nil(t, m.Reallocate(5*pageSize), "beyond the limit")
	b := m.Reallocate(pageSize)
	require.Len(t, b, pageSize)
	b[0], b[pageSize-1] = 1, 2
	b = m.Reallocate(4 * pageSize)
	require.Len(t, b, 4*pageSize)
	require.Equal(t, []byte{1, 2}, []byte{b[0], b[pageSize-1]}, "what was there is still there")
	require.Zero(t, b[4*pageSize-1])
	m.Free()
	require.Equal(t, byte(1), b[0], "wazero frees it while it may still be looked at")
	require.NoError(t, m.release())
	require.NoError(t, m.release())
	require.Nil(t, m.Reallocate(1), "nothing of it can be had any more")

	var none linearMemory
	none.reserve(0)
	require.Empty(t, none.Reallocate(0))
	require.NoError(t, none.release())
}

// The signatures of the contract stand in three places: here, in the host's
// functions and in the specification; the first two must agree.
func TestHostSignatures(t *testing.T) {
	all := hostSignatures()
	require.Len(t, all, 2)
	require.Equal(t, "(i32, i32, i32) -> ()", all[abi.ModuleName][abi.ImportLog].String())
	require.Equal(t, "(i32, i32) -> ()", all[abi.ModuleName][abi.ImportFail].String())
	require.Len(t, all[abi.ModuleName], 2)
	require.Equal(t, "(i32, i32, i32, i32) -> i32", all[abi.ModuleWASI]["poll_oneoff"].String())
	require.Equal(t, "(i32) -> ()", all[abi.ModuleWASI]["proc_exit"].String())
	require.Len(t, all[abi.ModuleWASI], 46)
}

func FuzzDescribe(f *testing.F) {
	f.Add([]byte("name\x00tiny store\x00max_key\x00128\x00"))
	f.Add([]byte("max_value\x0099999999999999999999\x00"))
	f.Add([]byte("capabilities\x00 cas  cas\x1b \x00"))
	f.Fuzz(func(t *testing.T, list []byte) {
		p := new(Plugin)
		if p.describe(list) != nil {
			return
		}
		require.GreaterOrEqual(t, p.info.MaxKey, leastKey)
		require.LessOrEqual(t, p.info.MaxKey, abi.MaxKey)
		require.GreaterOrEqual(t, p.info.MaxValue, leastValue)
		require.LessOrEqual(t, p.info.MaxValue, abi.MaxValue)
		for _, s := range append(p.info.Capabilities, p.info.EngineName, p.info.Version) {
			require.Equal(t, clean(s), s)
		}
	})
}

func FuzzChunk(f *testing.F) {
	f.Add(abi.AppendKey(abi.AppendKey(nil, []byte("a")), []byte("key")), false)
	f.Add(abi.AppendRecord(nil, []byte("a"), []byte("value"), 5), true)
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255}, true)
	f.Fuzz(func(t *testing.T, list []byte, records bool) {
		in := new(instance)
		if records {
			if in.checkRecords(list) != nil {
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
		if in.checkKeys(list) != nil {
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

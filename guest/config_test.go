package guest_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
)

// readers read one setting in each way that there is.
var readers = map[string]func(c *guest.Config) any{
	"string":   func(c *guest.Config) any { return c.String("x", "fallback") },
	"int":      func(c *guest.Config) any { return c.Int("x", 42, -5) },
	"bytes":    func(c *guest.Config) any { return c.Bytes("x", 42) },
	"duration": func(c *guest.Config) any { return c.Duration("x", 42) },
	"bool":     func(c *guest.Config) any { return c.Bool("x", true) },
}

func TestConfigReaders(t *testing.T) {
	tests := []struct {
		reader, value string
		want          any // nil: refused
	}{
		{"string", "", ""}, {"string", "a b", "a b"},
		{"int", "0", int64(0)}, {"int", "-5", int64(-5)}, {"int", "-6", nil}, {"int", "", nil}, {"int", "1.5", nil},
		{"int", "9223372036854775807", int64(1<<63 - 1)}, {"int", "9223372036854775808", nil}, {"int", "1k", nil},
		{"bytes", "0", int64(0)}, {"bytes", "4096", int64(4096)}, {"bytes", "10B", int64(10)},
		{"bytes", "64MiB", int64(64 << 20)}, {"bytes", "1.5KiB", int64(1536)}, {"bytes", "2GB", int64(2e9)},
		{"bytes", "3KB", int64(3000)}, {"bytes", "1GiB", int64(1 << 30)}, {"bytes", "0.25MB", int64(250_000)},
		{"bytes", "8589934591GiB", int64(8589934591 << 30)}, {"bytes", "8589934592GiB", nil},
		{"bytes", "8589934591.999999999GiB", int64(8589934591<<30 + (1<<30)*999999999/1000000000)},
		{"bytes", "-1", nil}, {"bytes", "", nil}, {"bytes", "MiB", nil}, {"bytes", "1.MiB", nil}, {"bytes", ".5MiB", nil},
		{"bytes", "1 MiB", nil}, {"bytes", "1Mi", nil}, {"bytes", "1MiBi", nil}, {"bytes", "1.0123456789KiB", nil}, {"bytes", "1TiB", nil},
		{"duration", "0", int64(0)}, {"duration", "500ms", int64(500)}, {"duration", "90s", int64(90_000)},
		{"duration", "1h30m", int64(5_400_000)}, {"duration", "1m1ms", int64(60_001)},
		{"duration", "", nil}, {"duration", "5", nil}, {"duration", "s", nil}, {"duration", "-5s", nil}, {"duration", "1d", nil},
		{"duration", "1h30", nil}, {"duration", "9223372036854775807ms1ms", nil}, {"duration", "9223372036854775807h", nil},
		{"bool", "true", true}, {"bool", "false", false}, {"bool", "yes", nil}, {"bool", "", nil},
	}
	for _, test := range tests {
		c := guest.NewConfig("x", test.value)
		got := readers[test.reader](c)
		if test.want == nil {
			require.ErrorIs(t, c.Err(), guest.ErrInvalid, "%s %q", test.reader, test.value)
			require.ErrorContains(t, c.Err(), `the setting x is "`+test.value+`": must be `)
			require.Equal(t, readers[test.reader](guest.NewConfig()), got, "the fallback")
			continue
		}
		require.NoError(t, c.Err(), "%s %q", test.reader, test.value)
		require.Equal(t, test.want, got, "%s %q", test.reader, test.value)
	}
}

func TestConfigFindsUnknownSettings(t *testing.T) {
	read := func(settings ...string) error {
		c := guest.NewConfig(settings...)
		c.Int("max_entries", 0, 0)
		c.Bytes("max_bytes", 0)
		c.Int("max_entries", 0, 0)
		return c.Err()
	}
	require.NoError(t, read("host_color", "red", "max_bytes", "5", "memory_limit", "1", "shard", "0", "shards", "1"))
	err := read("max_bytes", "5", "max_entires", "7")
	require.ErrorIs(t, err, guest.ErrInvalid)
	require.EqualError(t, err, "guest: INVALID: the setting max_entires is unknown: this engine has max_entries, max_bytes")
	require.EqualError(t, guest.NewConfig("a", "b").Err(), "guest: INVALID: the setting a is unknown: this engine has none")
	require.EqualError(t, read("max_bytes", "five", "max_entires", "7"),
		`guest: INVALID: the setting max_bytes is "five": must be a size such as 4096, 512KiB or 64MiB`)
}

func TestConfigOfTheHost(t *testing.T) {
	c := guest.NewConfig("memory_limit", "1048576", "shard", "3", "shards", "8")
	require.Equal(t, 3, c.Shard())
	require.Equal(t, 8, c.Shards())
	require.EqualValues(t, 1<<20, c.MemoryLimit(5))
	require.NoError(t, c.Err())
	c = guest.NewConfig()
	require.Equal(t, 0, c.Shard())
	require.Equal(t, 1, c.Shards())
	require.EqualValues(t, 5, c.MemoryLimit(5))
}

func TestParseConfig(t *testing.T) {
	for _, list := range []string{"a", "a\x00", "a\x00b", "b\x001\x00a\x002\x00", "a\x001\x00a\x002\x00", "\x00\x00"} {
		_, err := guest.ParseConfig([]byte(list))
		require.ErrorIs(t, err, guest.ErrInvalid, "%q", list)
	}
	c, err := guest.ParseConfig(abi.AppendPair(abi.AppendPair(nil, "a", "1"), "b", ""))
	require.NoError(t, err)
	require.Equal(t, "1", c.String("a", ""))
	require.Equal(t, "", c.String("b", "fallback"))
	require.NoError(t, c.Err())
}

// The SDK checks for wrong settings even if the engine does not.
func TestOpenRefusesUnknownSettings(t *testing.T) {
	require.ErrorIs(t, guest.NewHarness(new(plain), info).Open("a", "1"), guest.ErrInvalid)
	require.ErrorIs(t, guest.NewHarness(new(plain), info).Open("b", "1", "a", "1"), guest.ErrInvalid)
	require.NoError(t, guest.NewHarness(new(plain), info).Open("host_a", "1", "shard", "1"))
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("max_bytes\x001.5MiB\x00shard\x000\x00"))
	f.Add([]byte("a\x001h30m\x00"))
	f.Fuzz(func(t *testing.T, list []byte) {
		c, err := guest.ParseConfig(list)
		if err != nil {
			require.ErrorIs(t, err, guest.ErrInvalid)
			return
		}
		name, _, _, _ := abi.NextPair(list)
		require.GreaterOrEqual(t, c.Bytes(name, 0), int64(0))
		require.GreaterOrEqual(t, c.Duration(name, 0), int64(0))
		require.GreaterOrEqual(t, c.Int(name, 0, 0), int64(0))
		if err := c.Err(); err != nil {
			require.ErrorIs(t, err, guest.ErrInvalid)
		}
	})
}

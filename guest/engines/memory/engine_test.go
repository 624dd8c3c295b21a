package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

func TestSettings(t *testing.T) {
	tests := []struct {
		name     string
		settings []string
		message  string // "" for accepted
		maxBytes int64
		entries  int
	}{
		{"none", nil, "", 57 << 20, 0},
		{"memory limit", []string{"memory_limit", "16777216"}, "", 10 << 20, 0},
		{"max bytes", []string{"max_bytes", "1MiB"}, "", 1 << 20, 0},
		{"max bytes of four shards", []string{"max_bytes", "4MiB", "shard", "1", "shards", "4"}, "", 1 << 20, 0},
		{"max entries", []string{"max_entries", "100"}, "", 57 << 20, 100},
		{"max entries of four shards", []string{"max_entries", "102", "shard", "1", "shards", "4"}, "", 57 << 20, 25},
		{"little memory", []string{"memory_limit", "5000000"},
			"memory_limit is 5000000 bytes: must be at least 6815744 (6.5 MiB)", 0, 0},
		{"few bytes", []string{"max_bytes", "1MiB", "shard", "1", "shards", "4"},
			`the setting max_bytes is "1MiB": must be at least 2097152, for all shards together`, 0, 0},
		{"too many bytes", []string{"max_bytes", "64MiB", "memory_limit", "67108864"},
			`the setting max_bytes is "64MiB": must be at most 60114817, for all shards together, with a memory_limit of 67108864`, 0, 0},
		{"fewer entries than shards", []string{"max_entries", "3", "shard", "1", "shards", "4"},
			`the setting max_entries is "3": must be at least 4, one for each shard`, 0, 0},
		{"negative entries", []string{"max_entries", "-1"}, `the setting max_entries is "-1": must be at least 0`, 0, 0},
		{"misspelt", []string{"max_entires", "5"}, "the setting max_entires is unknown: this engine has max_bytes, max_entries", 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := new(engine)
			h := guest.NewHarness(e, info)
			err := h.Open(test.settings...)
			if test.message != "" {
				require.EqualError(t, err, "guest: INVALID: "+test.message)
				return
			}
			require.NoError(t, err)
			value := make([]byte, 1000)
			key := make([]byte, 8)
			for n := range 70_000 { // more than fits by default
				key[0], key[1], key[2] = byte(n), byte(n>>8), byte(n>>16)
				if err := h.Set(guest.Write{Key: key, Value: value, Now: 1}); err != nil {
					require.NoError(t, err)
				}
			}
			require.LessOrEqual(t, e.Bytes(), test.maxBytes+1<<20)
			if test.entries > 0 {
				require.Equal(t, test.entries, e.Len())
			} else {
				require.Greater(t, e.Bytes(), test.maxBytes*9/10)
			}
		})
	}
}

// The limits are at least what the specification asks of every guest.
func TestInfo(t *testing.T) {
	require.GreaterOrEqual(t, info.MaxValue, 4096)
	c, err := cache.New(cache.Options{MaxBytes: cache.MinBytes})
	require.NoError(t, err)
	require.GreaterOrEqual(t, c.MaxValue(), 4096)
}

package plugin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// telling makes a guest tell these pairs.
func telling(t testing.TB, pairs ...string) []byte {
	var list []byte
	for i := 0; i < len(pairs); i += 2 {
		list = abi.AppendPair(list, pairs[i], pairs[i+1])
	}
	m := specGuest(t)
	m.returns(abi.ExportStats, abi.Pack(uint32(m.text(list)), uint32(len(list))))
	return m.bytes()
}

// TestSpecStats: every name of the specification, and names that are not in it.
func TestSpecStats(t *testing.T) {
	told := map[string]string{"records": "7", "bytes": "700", "evicted": "3", "expired": "2", "limit": "max_entries"}
	var pairs []string
	for _, row := range specRowsOf(t, sectionOptional, abi.ExportStats) {
		name := strings.Trim(row[0], "`")
		require.Contains(t, told, name)
		pairs = append(pairs, name, told[name])
	}
	require.Len(t, pairs, 2*len(told))
	config := specConfigOf(nil)
	p := open(t, telling(t, append(pairs, "colour", "blue")...), config)
	want := plugin.Counts{Told: true, Records: 7, Bytes: 700, Evicted: 3, Expired: 2, Limit: "max_entries"}
	require.Equal(t, want, p.Stats().Counts)
	require.Zero(t, p.Stats().Calls, "it is no operation of anybody's")

	config.Shards, config.MemoryLimit = 2, 128<<20
	p = open(t, telling(t, pairs...), config)
	require.Equal(t, plugin.Counts{Told: true, Records: 14, Bytes: 1400, Evicted: 6, Expired: 4, Limit: "max_entries"}, p.Stats().Counts)
	require.Equal(t, want, p.Stats().Shards[1].Counts)

	p = open(t, telling(t), config)
	require.Equal(t, plugin.Counts{Told: true, Records: -1, Bytes: -1}, p.Stats().Counts, "what is absent is not known")

	digits := specNumbers(t, `Numbers have up to (\d+) digits`, specSection(t, sectionOptional))[0]
	for _, most := range []int{digits, digits + 1} {
		p = open(t, telling(t, "evicted", strings.Repeat("9", most)), specConfigOf(nil))
		p.Stats()
		require.Equal(t, most > digits, p.Stats().Backoff == 1, most)
	}
}

func TestCountsThatAreNone(t *testing.T) {
	unsupported := specGuest(t)
	unsupported.returns(abi.ExportStats, int64(abi.Unsupported))
	later := specGuest(t)
	later.returns(abi.ExportStats, int64(abi.Unavailable))
	absent := specGuest(t)
	absent.without(abi.ExportStats)
	for _, m := range []*specModule{unsupported, later, absent} {
		p := open(t, m.bytes(), specConfigOf(nil))
		require.Equal(t, plugin.Counts{}, p.Stats().Counts)
		require.Zero(t, p.Stats().Backoff)
	}
	outside := specGuest(t)
	outside.returns(abi.ExportStats, abi.Pack(1<<30, 9))
	for what, wasm := range map[string][]byte{
		"the guest pointed outside its memory": outside.bytes(),
		`records is "many": must be a number`:  telling(t, "records", "many"),
		`bytes is "-1": must be a number`:      telling(t, "bytes", "-1"),
		"session_stats: ends in 3 bytes that are not a pair": func() []byte {
			m := specGuest(t)
			m.returns(abi.ExportStats, abi.Pack(uint32(m.text([]byte("odd"))), 3))
			return m.bytes()
		}(),
	} {
		p := open(t, wasm, specConfigOf(nil))
		p.Stats()
		stats := p.Stats()
		require.Equal(t, 1, stats.Backoff, what)
		require.Contains(t, stats.Shards[0].LastError, what)
	}
}

// The evictions of a shard's successive guests add up.
func TestCountsOutliveAnInstance(t *testing.T) {
	p := open(t, telling(t, "records", "7", "evicted", "3"), specConfigOf(nil))
	require.EqualValues(t, 3, p.Stats().Counts.Evicted)
	p.Fail(0)
	require.Equal(t, plugin.Counts{Told: true, Evicted: 3}, p.Stats().Counts, "there is nothing in it now")
}

// The log says at once that a guest evicts and which setting is in the way, and
// then once in a minute how often it did.
func TestEvictionsAreLogged(t *testing.T) {
	var log logBuffer
	clock := newClock()
	config := specConfigOf(log.logger())
	config.Now = clock.Now
	plugin.CountEvery(&config, time.Millisecond)
	p := open(t, evicting(t), config)
	lines := func() int { return strings.Count(log.String(), "evicts sessions") }
	evict := func(n int) {
		for range n {
			require.NoError(t, p.Set(ctx, store.Write{Key: key, Now: 1}))
		}
	}
	time.Sleep(20 * time.Millisecond)
	require.Zero(t, lines(), "nothing was evicted")
	evict(1)
	require.Eventually(t, func() bool { return lines() == 1 }, time.Minute, time.Millisecond)
	require.Contains(t, log.String(), "raise the setting max_entries")
	require.Contains(t, log.String(), "evicted=1 ")
	evict(3)
	clock.advance(59 * time.Second)
	time.Sleep(20 * time.Millisecond)
	require.Equal(t, 1, lines())
	clock.advance(2 * time.Second)
	require.Eventually(t, func() bool { return lines() == 2 }, time.Minute, time.Millisecond)
	require.Contains(t, log.String(), "evicted=3 evicted_altogether=4")
}

// Close logs the evictions since the last log record about them: a program that ends
// within a second would say nothing otherwise.
func TestEvictionsAreLoggedAtTheEnd(t *testing.T) {
	var log logBuffer
	config := specConfigOf(log.logger())
	plugin.CountEvery(&config, time.Hour)
	p := open(t, evicting(t), config)
	for range 3 {
		require.NoError(t, p.Set(ctx, store.Write{Key: key, Now: 1}))
	}
	require.NotContains(t, log.String(), "evicts sessions")
	require.NoError(t, p.Close(ctx))
	require.Contains(t, log.String(), "raise the setting max_entries")
	require.Contains(t, log.String(), "evicted=3 evicted_altogether=3")
}

// evicting returns a guest that says of each write that it evicted a record.
func evicting(t *testing.T) []byte {
	m := specGuest(t)
	// Each digit of evicted is the number of calls of session_set so far, which is in
	// memory.
	list := abi.AppendPair(abi.AppendPair(nil, "evicted", "0"), "limit", "max_entries")
	at := m.text(list)
	digit := sleb(int64(at + len("evicted") + 1))
	m.returns(abi.ExportStats, abi.Pack(uint32(at), uint32(len(list))))
	add := append(append([]byte{opI32Const}, digit...), opI32Const)
	add = append(add, digit...)
	m.export(abi.ExportSet).body = append(add, 0x2d, 0, 0, opI32Const, 1, 0x6a, 0x3a, 0, 0, opI64Const, 0)
	return m.bytes()
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// records returns all records of a snapshot, and requires that no cursor comes twice.
func records(t *testing.T, h *guest.Harness) map[string]string {
	t.Helper()
	found := make(map[string]string)
	seen := make(map[int64]bool)
	for cursor := int64(0); ; {
		list, next, err := h.Snapshot(cursor, now)
		require.NoError(t, err)
		for {
			key, value, _, rest, ok := abi.NextRecord(list)
			if !ok {
				break
			}
			found[string(key)] = string(value)
			list = rest
		}
		if next == 0 {
			return found
		}
		require.False(t, seen[next], "a cursor came twice")
		seen[next] = true
		cursor = next
	}
}

// TestManyRecords: more than the server names at once, among many that are not ours.
func TestManyRecords(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{})
	server.Do("DEBUG", "POPULATE", "20000", "foreign")
	h, e := start(t, server.Addr())
	const n = 3000
	var list []byte
	for i := range n {
		expires := int64(0)
		if i%3 == 0 {
			expires = now // it has expired for the enumeration, not when it is written
		}
		list = abi.AppendRecord(list, fmt.Appendf(nil, "key %d", i), value(uint64(i), "text"), expires)
	}
	require.NoError(t, h.Restore(list, now-1))
	keys := all(t, h, "")
	require.Len(t, keys, n-n/3)
	found := records(t, h)
	require.Len(t, found, n-n/3)
	require.Equal(t, string(value(1, "text")), found["key 1"])

	before := server.Do("DBSIZE").(int64)
	require.NoError(t, h.Clear(now))
	require.Equal(t, before-n, server.Do("DBSIZE"), "expired ones too, and no others")
	require.Empty(t, all(t, h, ""))
	require.Empty(t, e.writers)
}

// TestLargeRecords: records that have no room together in a chunk are all given, each
// once a chunk at least, whatever lies in between.
func TestLargeRecords(t *testing.T) {
	h, _ := start(t, anyServer(t).Addr())
	want := make(map[string]string)
	for i, size := range []int{mostInList - 8, mostInList - 7, 70_000, 200_000, 1 << 20, 40_000, 40_000, 40_000, 30, 5 << 20, abi.MaxValue} {
		body := string(value(uint64(i+1), string(bytes.Repeat([]byte{byte(i)}, size-min(size, 8)))))
		key := fmt.Sprintf("key %d", i)
		want[key] = body
		require.NoError(t, h.Set(guest.Write{Key: []byte(key), Value: []byte(body), Now: now}))
	}
	for i := range 200 {
		key := fmt.Sprintf("small %d", i)
		want[key] = string(value(1, key))
		require.NoError(t, h.Set(guest.Write{Key: []byte(key), Value: []byte(want[key]), Now: now}))
	}
	require.True(t, equal(want, records(t, h)))

	// Two enumerations at once, of which one is left behind in the middle.
	_, abandoned, err := h.Snapshot(0, now)
	require.NoError(t, err)
	require.True(t, equal(want, records(t, h)))
	again, next, err := h.Snapshot(abandoned, now)
	require.NoError(t, err)
	twice, nextTwice, err := h.Snapshot(abandoned, now)
	require.NoError(t, err)
	require.True(t, bytes.Equal(again, twice), "a chunk can be asked for again")
	require.Equal(t, next == 0, nextTwice == 0)
	require.NoError(t, h.Clear(now))
}

// equal compares without showing megabytes.
func equal(a, b map[string]string) bool {
	for key, value := range a {
		if b[key] != value {
			return false
		}
	}
	return len(a) == len(b)
}

// TestStrangeCursors: a cursor that was never given is refused.
func TestStrangeCursors(t *testing.T) {
	h, _ := start(t, anyServer(t).Addr())
	for _, cursor := range []int64{1, 2, 63, 64, 1 << 40, leastPlace - 1} {
		_, _, err := h.Keys(cursor, now)
		require.ErrorIs(t, err, guest.ErrInvalid, "%d", cursor)
		_, _, err = h.Snapshot(cursor, now)
		require.ErrorIs(t, err, guest.ErrInvalid, "%d", cursor)
	}
}

// TestPagesAreForgotten: only so many chunks are kept, and an old one is refused rather than
// taken for another.
func TestPagesAreForgotten(t *testing.T) {
	var p pages
	first := p.keep([]byte("keys"), 7)
	require.Equal(t, "keys", string(p.find(first).keys))
	for range mostKept - 1 {
		p.keep(nil, 8)
	}
	require.NotNil(t, p.find(first))
	p.keep(nil, 9)
	require.Nil(t, p.find(first))
	require.Nil(t, p.find(1<<40))
}

// TestEnumerationsSurvive: a server that is restarted in the middle of an enumeration has
// other cursors. No key that was there all the time is left out.
func TestEnumerationsSurvive(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{Persist: true})
	h, _ := start(t, server.Addr())
	const n = 5000
	var list []byte
	for i := range n {
		list = abi.AppendRecord(list, fmt.Appendf(nil, "key %d", i), value(1, "text"), 0)
	}
	require.NoError(t, h.Restore(list, now))
	found := make(map[string]bool)
	for cursor, chunks := int64(0), 0; ; chunks++ {
		if chunks == 2 {
			server.Kill()
			server.Restart()
		}
		keys, next, err := h.Keys(cursor, now)
		if err != nil {
			require.True(t, errors.Is(err, guest.ErrUnavailable), "%v", err)
			continue
		}
		for _, key := range keys {
			found[string(key)] = true
		}
		if cursor = next; cursor == 0 {
			require.Greater(t, chunks, 2)
			break
		}
	}
	require.Len(t, found, n)
}

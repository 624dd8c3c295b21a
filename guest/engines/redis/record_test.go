package main

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestTimeToLive(t *testing.T) {
	for _, c := range []struct{ expires, now, want int64 }{
		{0, now, 0},
		{0, -5, 0},
		{now + 1, now, 1 + slack},
		{now + hour, now, hour + slack},
		{-1, -2, 1 + slack},
		{now, math.MinInt64, 0},
		{math.MaxInt64, now, 0},
		{math.MaxInt64, math.MinInt64, 0},
		{now + farthest, now, farthest + slack},
		{now + farthest + 1, now, 0},
	} {
		require.Equal(t, c.want, timeToLive(c.expires, c.now), "%d at %d", c.expires, c.now)
	}
}

// raw returns what the server has under a key of an engine.
func raw(server *backend.Server, e *engine, key string) any {
	return server.Do("GET", string(e.prefix)+key)
}

// lives returns how long the server keeps a key, in milliseconds, -1 for ever and -2 if
// there is none.
func lives(server *backend.Server, e *engine, key string) int64 {
	return server.Do("PTTL", string(e.prefix)+key).(int64)
}

// TestWhatTheServerHas: the record has the form that record.go describes, and the
// server keeps it for longer than it lives, whatever wrote it, and for ever if it does.
func TestWhatTheServerHas(t *testing.T) {
	eachServer(t, func(t *testing.T, server *backend.Server) {
		h, e := start(t, server.Addr())
		about := func(key string, expires int64) {
			t.Helper()
			record := []byte(raw(server, e, key).(string))
			require.Equal(t, value(7, "text"), record[headerSize:])
			require.EqualValues(t, expires, binary.LittleEndian.Uint64(record))
			require.NotZero(t, binary.LittleEndian.Uint64(record[8:]))
			if expires == 0 {
				require.EqualValues(t, -1, lives(server, e, key))
				return
			}
			most := expires - now + slack
			require.LessOrEqual(t, lives(server, e, key), most)
			require.Greater(t, lives(server, e, key), most-30_000)
		}
		write := func(expires, expect int64) guest.Write {
			return guest.Write{Key: []byte("key"), Value: value(7, "text"), Expires: expires, Now: now, Expect: expect}
		}
		for _, expires := range []int64{now + 1, now + hour, 0} {
			require.NoError(t, h.Set(write(expires, abi.ExpectAny)))
			about("key", expires)
			require.NoError(t, h.Set(write(0, 7)))
			about("key", 0)
			require.NoError(t, h.Set(write(expires, 7)))
			about("key", expires)
			require.NoError(t, h.Touch([]byte("key"), 0, now))
			about("key", 0)
			require.NoError(t, h.Touch([]byte("key"), expires, now))
			about("key", expires)
			require.NoError(t, h.Delete([]byte("key"), now))
			require.NoError(t, h.Set(write(expires, abi.ExpectAbsent)))
			about("key", expires)
		}
		// An expired record is removed at once.
		for _, remove := range []func() error{
			func() error { return h.Set(write(now, abi.ExpectAny)) },
			func() error { return h.Set(write(now, 7)) },
			func() error { return h.Touch([]byte("key"), now, now) },
			func() error { return h.Delete([]byte("key"), now) },
			func() error { return h.Clear(now) },
		} {
			require.NoError(t, h.Set(write(0, abi.ExpectAny)))
			require.NoError(t, remove())
			require.EqualValues(t, -2, lives(server, e, "key"))
		}
	})
}

// TestExpiryIsTheRecords: the record's own expiry decides, to the millisecond, also
// where numbers of Lua are not exact any more.
func TestExpiryIsTheRecords(t *testing.T) {
	eachServer(t, func(t *testing.T, server *backend.Server) {
		h, _ := start(t, server.Addr())
		for _, expires := range []int64{1, -1, now, 1<<32 - 1, 1 << 32, 1<<53 + 1, 1<<62 + 1, math.MaxInt64, math.MinInt64 + 2, -1 << 32, -(1 << 53) - 1} {
			key := []byte("key")
			write := guest.Write{Key: key, Value: value(1, "text"), Expires: expires, Now: expires - 1}
			require.NoError(t, h.Set(write))
			_, err := h.Get(key, expires-1)
			require.NoError(t, err)
			_, err = h.Get(key, expires)
			require.ErrorIs(t, err, guest.ErrNotFound)

			// The scripts compare on the server.
			create := guest.Write{Key: key, Value: value(2, "text"), Expires: 0, Now: expires - 1, Expect: abi.ExpectAbsent}
			require.ErrorIs(t, h.Set(create), guest.ErrConflict, "%d", expires)
			create.Now = expires
			require.NoError(t, h.Set(create), "%d", expires)
			require.NoError(t, h.Set(write))
			replace := guest.Write{Key: key, Value: value(2, "text"), Expires: expires, Now: expires - 1, Expect: 1}
			require.NoError(t, h.Set(replace))
			require.ErrorIs(t, h.Set(guest.Write{Key: key, Value: value(3, "text"), Now: expires, Expect: 2}), guest.ErrConflict)
			require.ErrorIs(t, h.Touch(key, 0, expires), guest.ErrNotFound)
			require.NoError(t, h.Touch(key, expires, expires-1))
		}
	})
}

// TestForeignRecords: what lies under a key and is no record of this engine is CORRUPT to
// read, and does not keep the key from being used.
func TestForeignRecords(t *testing.T) {
	eachServer(t, func(t *testing.T, server *backend.Server) {
		h, e := start(t, server.Addr())
		key := []byte("key")
		for name, put := range map[string]func(at string){
			"short":    func(at string) { server.Do("SET", at, "fifteen bytes..") },
			"one byte": func(at string) { server.Do("SET", at, "x") },
			"a list":   func(at string) { server.Do("RPUSH", at, "x") },
			"a hash":   func(at string) { server.Do("HSET", at, "x", "y") },
		} {
			at := string(e.prefix) + "key"
			again := func() { server.Do("DEL", at); put(at) }

			again()
			_, err := h.Get(key, now)
			require.ErrorIs(t, err, guest.ErrCorrupt, name)
			keys, _, err := h.Keys(0, now)
			require.NoError(t, err, name)
			require.Empty(t, keys, name)
			list, _, err := h.Snapshot(0, now)
			require.NoError(t, err, name)
			require.Empty(t, list, name)
			if err := h.Touch(key, now+hour, now); err != nil {
				require.True(t, isUnreadable(err) || err == guest.ErrNotFound, "%s: %v", name, err)
			}
			if err := h.Set(set("key", "text", 2, 1)); err != nil {
				require.True(t, isUnreadable(err) || err == guest.ErrConflict, "%s: %v", name, err)
			}

			require.NoError(t, h.Set(set("key", "text", 3, abi.ExpectAny)), name)
			got, err := h.Get(key, now)
			require.NoError(t, err)
			require.Equal(t, value(3, "text"), got)

			again()
			require.NoError(t, h.Delete(key, now))
			require.Equal(t, int64(0), server.Do("EXISTS", at))
			again()
			require.NoError(t, h.Clear(now))
			require.Equal(t, int64(0), server.Do("EXISTS", at))
		}
	})
}

// TestForeignKeys: keys that do not begin with the prefix are neither named nor removed,
// whatever the prefix means as a pattern.
func TestForeignKeys(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{})
	for _, prefix := range []string{"a*", "a?", "[ab]", "[^b]", "a\\", "a[b-d]", "\\*", "*", "a-", "{a}", "^", "\n", "ä", "\xff\xfe"} {
		server.Do("FLUSHALL")
		h, _, err := tryStart(t, "addresses", server.Addr(), "prefix", prefix)
		require.NoError(t, err)
		foreign := []string{"a", "b", "ab", "abc", "aa", "[ab]"[:2], "*"[:0] + "z", "a[", "ac", "\\", "x" + prefix, prefix[:len(prefix)-1] + "~"}
		kept := 0
		for _, key := range foreign {
			if len(key) >= len(prefix) && key[:len(prefix)] == prefix {
				continue
			}
			server.Do("SET", key, "foreign")
			kept++
		}
		server.Do("SET", prefix, "no key of ours is empty")
		for _, key := range []string{"1", "2", "*", "\x00"} {
			require.NoError(t, h.Set(set(key, "text", 1, abi.ExpectAny)))
		}
		keys, next, err := h.Keys(0, now)
		require.NoError(t, err)
		require.Zero(t, next)
		require.Len(t, keys, 4, "%q", prefix)
		before := server.Do("DBSIZE").(int64)
		require.NoError(t, h.Clear(now))
		require.Equal(t, before-4, server.Do("DBSIZE"), "%q", prefix)
		keys, _, err = h.Keys(0, now)
		require.NoError(t, err)
		require.Empty(t, keys)
	}
}

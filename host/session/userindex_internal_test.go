package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestLargestList: the maximum number of sessions, each with as many ids as
// requests may be giving it, fits into the list's bound, and the newest is
// always admitted.
func TestLargestList(t *testing.T) {
	s := store.NewMemory()
	settings := Defaults()
	settings.MaxUserSessions = maxUserSessions
	settings.OnEvent = Events()
	m, err := New(s, settings)
	require.NoError(t, err)
	ctx, now := context.Background(), m.now()
	size := func() int {
		key := m.userIndexKey("ada")
		value, err := s.Get(ctx, key[:], now)
		require.NoError(t, err)
		return len(value)
	}
	fill := func(keys int) error {
		return m.changeIndex(ctx, "ada", now+m.lifetime, func(e map[string]indexEntry) bool {
			clear(e)
			for i := range maxUserSessions {
				e[fmt.Sprintf("%022d", i)] = indexEntry{since: now - maxUserSessions + store.Millis(i), added: now, until: now + m.lifetime, keys: make([]storageKey, keys)}
			}
			return true
		})
	}
	require.NoError(t, fill(1), "with an id each, all have room")
	require.Greater(t, size(), maxIndex/2)
	require.ErrorIs(t, fill(maxEntryKeys), ErrTooLarge)

	// As close to the bound as possible.
	n := (maxIndex - 2*recordHeader) / (rowLength + entryTimes + 2*len(storageKey{}))
	require.Less(t, n, maxUserSessions)
	for keys, room := 2, true; room; keys++ {
		err := m.changeIndex(ctx, "ada", now+m.lifetime, func(e map[string]indexEntry) bool {
			clear(e)
			for i := range n {
				e[fmt.Sprintf("%022d", i)] = indexEntry{since: now - maxUserSessions + store.Millis(i), added: now, until: now + m.lifetime, keys: make([]storageKey, 2)}
			}
			e[fmt.Sprintf("%022d", n)] = indexEntry{since: now - maxUserSessions + store.Millis(n), added: now, until: now + m.lifetime, keys: make([]storageKey, keys)}
			return true
		})
		if room = err == nil; !room {
			require.ErrorIs(t, err, ErrTooLarge)
		}
	}
	require.Greater(t, size(), maxIndex-len(storageKey{}))
	next := m.Session(ctx, "")
	require.NoError(t, next.LogIn("ada", nil))
	require.NoError(t, next.Save())
	require.LessOrEqual(t, size(), maxIndex)
	list, err := m.loadIndex(ctx, "ada", now)
	require.NoError(t, err)
	has := func(i int) bool { _, ok := list.entries[fmt.Sprintf("%022d", i)]; return ok }
	require.True(t, has(n), "of the others, the newest stay")
	require.False(t, has(0))
	user, err := m.Session(ctx, next.id).User()
	require.NoError(t, err)
	require.Equal(t, "ada", user)
}

// TestStoreWithRoomForFewSessions: the store's bound counts if it is below the
// setting's, and the oldest still give way.
func TestStoreWithRoomForFewSessions(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		s := &limited{Store: store.NewMemory()}
		settings := Defaults()
		settings.OnEvent = Events()
		if sealed {
			var err error
			settings.Keyring, err = NewKeyring("a secret for tests, thirty-two bytes and more")
			require.NoError(t, err)
		}
		m, err := New(s, settings)
		require.NoError(t, err)
		ctx := context.Background()
		var ids []string
		for range 200 {
			next := m.Session(ctx, "")
			require.NoError(t, next.LogIn("ada", nil))
			require.NoError(t, next.Save())
			ids = append(ids, next.id)
		}
		list, err := m.UserSessions(ctx, "ada")
		require.NoError(t, err)
		require.Greater(t, len(list), 20)
		require.Less(t, len(list), settings.MaxUserSessions)
		require.Less(t, s.refused, 30, "not each log-in finds the bound anew")
		living := 0
		for _, id := range ids {
			user, err := m.Session(ctx, id).User()
			require.NoError(t, err)
			if user == "ada" {
				living++
			}
		}
		require.Equal(t, len(list), living)
		ended, err := m.RevokeAll(ctx, "ada")
		require.NoError(t, err)
		require.Equal(t, living, ended)
	}
	t.Run("for none", func(t *testing.T) {
		m, err := New(&limited{Store: store.NewMemory(), most: 100}, Defaults())
		require.NoError(t, err)
		s := m.Session(context.Background(), "")
		require.NoError(t, s.LogIn("ada", nil))
		err = s.Save()
		require.ErrorIs(t, err, ErrTooLarge)
		require.ErrorIs(t, err, store.ErrTooLarge)
		require.NotContains(t, err.Error(), "ada")
	})
}

// TestEntryFollows: the key under which a session is alive is never dropped
// from its entry, whatever new ids requests are about to give it.
func TestEntryFollows(t *testing.T) {
	key := func(n byte) storageKey { return storageKey{n} }
	e := indexEntry{added: 1000, keys: []storageKey{key(0)}}
	for n := byte(1); n < maxEntryKeys; n++ {
		require.True(t, e.follow(key(0), key(n), 1000))
	}
	require.Len(t, e.keys, maxEntryKeys)
	require.False(t, e.follow(key(0), key(99), 1000+indexWaitFull), "all may still be at it")
	require.Len(t, e.keys, maxEntryKeys)
	late := indexEntry{added: e.added, keys: slices.Clone(e.keys)}
	require.True(t, late.follow(key(0), key(99), 1000+indexWaitFull+1), "they have failed")
	require.Equal(t, []storageKey{key(99), key(0)}, late.keys)
	require.True(t, e.follow(key(3), key(99), 1000), "the one that made it is seen by what comes from it")
	require.Equal(t, []storageKey{key(99), key(3)}, e.keys)
}

// limited accepts no more than a page, or than its stated limit.
type limited struct {
	store.Store
	most, refused int
}

func (l *limited) Set(ctx context.Context, w store.Write) error {
	if len(w.Value) > cmp.Or(l.most, 4096) {
		l.refused++
		return store.ErrTooLarge
	}
	return l.Store.Set(ctx, w)
}

// FuzzBinding: no bytes that a session or a list of sessions may hold lead to a
// panic, and what is read from them is written again unchanged.
func FuzzBinding(f *testing.F) {
	b := binding{user: "ada", publicID: "h", note: map[string]string{"browser": "x"}, until: 5}
	f.Add(b.encode())
	f.Add(indexEntry{since: 1, added: 1, until: 2, keys: []storageKey{{1, 2, 3}}}.append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, ok := decodeIndexEntry(data); ok {
			require.Equal(t, data, e.append(nil))
		}
		var o overlay
		o.set(userKey, data)
		if b, ok := bindingOf(&o, Values{}); ok {
			o.set(userKey, b.encode())
			again, ok := bindingOf(&o, Values{})
			require.True(t, ok)
			require.Equal(t, b, again)
		} else {
			require.Empty(t, b.user)
		}
	})
}

// FuzzIndexBlock: a list read from any bytes is corrupt or is written again
// unchanged, and a lookup in it finds what decoding finds.
func FuzzIndexBlock(f *testing.F) {
	publicID := func(n int) string { return fmt.Sprintf("%022d", n) }
	f.Add([]byte(makeIndexBlock(nil)), 1)
	f.Add([]byte(makeIndexBlock(map[string]indexEntry{
		publicID(1): {since: 1, added: 2, until: 3, keys: []storageKey{{1}}},
		publicID(2): {since: 1, added: 2, until: 3, keys: []storageKey{{1}, {2}, {3}}},
	})), 2)
	f.Add([]byte{255, 255, 255, 255}, 1)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		var o overlay
		o.set(indexKey, data)
		var r Record
		r.setValues(&o, Values{})
		block, err := indexBlockOf(&r)
		if err != nil {
			require.ErrorIs(t, err, ErrDecode)
			return
		}
		found := block.has([]byte(publicID(n)), &storageKey{2})
		entries, err := block.entries()
		if err != nil {
			require.ErrorIs(t, err, ErrDecode)
			return
		}
		again := makeIndexBlock(entries)
		if !slices.Equal(again, block) {
			return // rows that are out of order or repeated
		}
		require.Equal(t, slices.Contains(entries[publicID(n)].keys, storageKey{2}), found)
	})
}

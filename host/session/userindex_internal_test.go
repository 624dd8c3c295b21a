package session

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestListThatIsFull: entries of sessions that are no more make room; live ones
// are not ended for it.
func TestListThatIsFull(t *testing.T) {
	for _, kept := range []bool{false, true} {
		s := store.NewMemory()
		m, err := New(s, Defaults())
		require.NoError(t, err)
		ctx, now := context.Background(), m.now()
		key := keyOf("") // of nobody
		if kept {
			live := m.Open(ctx, "")
			require.NoError(t, live.LogIn("ada", nil))
			require.NoError(t, live.Save())
			key = live.key
		}
		full := 0
		require.NoError(t, m.changeIndex(ctx, "ada", now+m.duration, func(e map[string]indexEntry) bool {
			template := indexEntry{added: now - healAfterFull - 1, until: now + m.duration, keys: []storageKey{key}}
			size := recordHeader
			for handle := range e {
				template.keys = e[handle].keys
				size += 2 + len(handle) + len(e[handle].encode())
			}
			for n := uint32(0); ; n++ {
				handle := string([]byte{'h', byte(n), byte(n >> 8), byte(n >> 16)})
				if size += 2 + len(handle) + len(template.encode()); size > maxIndex {
					break
				}
				e[handle] = template
			}
			full = len(e) // and there is no room for one more, which is longer
			return true
		}))
		require.Greater(t, full, 10_000)
		next := m.Open(ctx, "")
		require.NoError(t, next.LogIn("ada", nil))
		require.NoError(t, next.Save())
		list, err := m.Sessions(ctx, "ada")
		require.NoError(t, err)
		require.Len(t, list, map[bool]int{false: 1, true: 2}[kept])
	}
}

// TestListOfTooManyLiveSessions is refused with a reason, and those that are
// there stay.
func TestListOfTooManyLiveSessions(t *testing.T) {
	s := &limited{Store: store.NewMemory()}
	m, err := New(s, Defaults())
	require.NoError(t, err)
	ctx := context.Background()
	var refused error
	n := 0
	for ; refused == nil && n < 100; n++ {
		next := m.Open(ctx, "")
		require.NoError(t, next.LogIn("ada", nil))
		refused = next.Save()
	}
	require.ErrorIs(t, refused, ErrTooLarge)
	require.ErrorIs(t, refused, store.ErrTooLarge)
	require.NotContains(t, refused.Error(), "ada")
	list, err := m.Sessions(ctx, "ada")
	require.NoError(t, err)
	require.Len(t, list, n-1)
	ended, err := m.EndAll(ctx, "ada")
	require.NoError(t, err)
	require.Equal(t, n-1, ended)
}

// limited takes no more than a page.
type limited struct{ store.Store }

func (l *limited) Set(ctx context.Context, w store.Write) error {
	if len(w.Value) > 4096 {
		return store.ErrTooLarge
	}
	return l.Store.Set(ctx, w)
}

// FuzzBinding: what a session or a list of sessions may hold, read from any
// bytes, leads to no panic, and what is read is written again as it was.
func FuzzBinding(f *testing.F) {
	b := binding{user: "ada", handle: "h", note: map[string]string{"browser": "x"}, until: 5}
	f.Add(b.encode())
	f.Add(indexEntry{added: 1, until: 2, keys: []storageKey{keyOf("")}}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, ok := decodeIndexEntry(data); ok {
			require.Equal(t, data, e.encode())
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

// FuzzForwarded: whatever a client begins a header with, the entry that the
// proxy adds decides, and one that cannot be read counts for nothing.
func FuzzForwarded(f *testing.F) {
	f.Add("proto=https")
	f.Add(`for="a,b;proto=https"`)
	f.Add(`for="`)
	f.Add(`host="\\",proto=https`)
	f.Fuzz(func(t *testing.T, line string) {
		http1 := http.Header{"Forwarded": {line + ", for=192.0.2.1;proto=http"}}
		require.False(t, forwardedHTTPS(http1))
		https := http.Header{"Forwarded": {line + ", for=192.0.2.1;proto=https"}}
		if !strings.Contains(line, `"`) {
			require.True(t, forwardedHTTPS(https))
		}
		require.False(t, forwardedHTTPS(http.Header{"X-Forwarded-Proto": {line + ",http"}}))
		require.True(t, forwardedHTTPS(http.Header{"X-Forwarded-Proto": {line + ",https"}}))
	})
}

package session_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// jsonManager returns a manager of sessions that programs in other languages share,
// and its clock.
func jsonManager(t *testing.T, s store.Store, change ...func(*session.Settings)) (*session.Manager, *sessiontest.Clock) {
	t.Helper()
	clock := new(sessiontest.Clock)
	settings := session.Settings{Codec: session.JSON, ReadCodecs: []session.Codec{session.CBOR}, Now: clock.Now, OnEvent: session.Events()}
	for _, f := range change {
		f(&settings)
	}
	m, err := session.New(s, settings)
	require.NoError(t, err)
	return m, clock
}

func snapshotOf(t *testing.T, m *session.Manager, id string) session.Snapshot {
	t.Helper()
	snapshot, ok, err := m.Session(t.Context(), id).Snapshot()
	require.NoError(t, err)
	require.True(t, ok)
	return snapshot
}

// begin stores a session with encoded values, given as names and values in turn.
func begin(t *testing.T, m *session.Manager, values ...string) session.Snapshot {
	t.Helper()
	s := m.Session(t.Context(), "")
	for i := 0; i < len(values); i += 2 {
		require.NoError(t, s.SetEncoded(values[i], []byte(values[i+1])))
	}
	s.SetModified()
	require.NoError(t, s.Save())
	snapshot, ok, err := s.Snapshot()
	require.NoError(t, err)
	require.True(t, ok)
	return snapshot
}

func TestEncodedValues(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		m, _ := jsonManager(t, s)
		const large = `{"n": 123456789012345678901234567890, "t" : "<\u00e9é>", "none":null}`
		first := begin(t, m, "v", large, "nil", "null")
		require.Equal(t, uint64(1), first.Revision)
		again := snapshotOf(t, m, first.ID)
		require.Len(t, again.Values, 2)
		require.Equal(t, large, string(again.Values[0].Data), "byte for byte")
		require.Equal(t, session.JSON, again.Values[0].Codec)

		// A value is one of Go's too.
		var v struct {
			T    string
			None *int
		}
		ok, err := m.Session(t.Context(), first.ID).Get("v", &v)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "<éé>", v.T)

		for name, value := range map[string]string{
			"no JSON": `{"a":`, "two": `1 2`, "none": ``, "not UTF-8": "\"\xff\"", "too deep": strings.Repeat("[", 1001) + strings.Repeat("]", 1001),
		} {
			require.ErrorIs(t, m.Session(t.Context(), first.ID).SetEncoded("k", []byte(value)), session.ErrEncode, name)
		}
		for _, key := range []string{"", "waddle.user", strings.Repeat("k", 256)} {
			require.ErrorIs(t, m.Session(t.Context(), first.ID).SetEncoded(key, []byte(`1`)), session.ErrKey)
		}
	})
}

// TestSnapshotTellsCodecs of values that were written before a change of the codec.
func TestSnapshotTellsCodecs(t *testing.T) {
	s := store.NewMemory()
	before, _ := jsonManager(t, s, func(c *session.Settings) { c.Codec, c.ReadCodecs = session.CBOR, nil })
	old := before.Session(t.Context(), "")
	require.NoError(t, errors.Join(old.Set("a", 1), old.Set("b", 2), old.LogIn("ada", nil), old.Save()))
	id, err := old.ID()
	require.NoError(t, err)
	require.Error(t, before.Session(t.Context(), id).SetEncoded("a", []byte(`{"no":"CBOR"`)))

	m, _ := jsonManager(t, s)
	now := m.Session(t.Context(), id)
	require.NoError(t, errors.Join(now.SetEncoded("b", []byte("3")), now.Save()))
	got := snapshotOf(t, m, id)
	by := map[string]session.Codec{}
	for _, v := range got.Values {
		by[v.Name] = v.Codec
	}
	require.Equal(t, map[string]session.Codec{"a": session.CBOR, "b": session.JSON}, by, "nothing of the library's own is among them")
	require.Equal(t, "ada", got.User)
	require.NotEmpty(t, got.PublicID)

	alone, _ := jsonManager(t, s, func(c *session.Settings) { c.ReadCodecs = nil })
	for _, v := range snapshotOf(t, alone, id).Values {
		require.Equal(t, v.Name == "a", v.Codec == nil, v.Name)
	}
}

func TestSnapshotTellsTheLife(t *testing.T) {
	m, clock := jsonManager(t, store.NewMemory(), func(c *session.Settings) {
		c.Lifetime, c.IdleTimeout = 2*time.Hour, 30*time.Minute
	})
	first := begin(t, m)
	start := clock.Now()
	require.Equal(t, start, first.Created.UTC())
	require.Equal(t, start.Add(30*time.Minute), first.Expires.UTC())
	require.Equal(t, start.Add(2*time.Hour), first.CookieUntil.UTC(), "being idle does not count")

	clock.Advance(10 * time.Minute)
	s := m.Session(t.Context(), first.ID)
	_, _, err := s.Snapshot()
	require.NoError(t, err)
	require.Equal(t, first.Expires, snapshotOf(t, m, first.ID).Expires, "a look that was not saved")
	require.NoError(t, s.Save())
	later := snapshotOf(t, m, first.ID)
	require.Equal(t, start.Add(40*time.Minute), later.Expires.UTC())
	require.Greater(t, later.Revision, first.Revision)

	s.SetPersistence(session.EndWithBrowser)
	require.Equal(t, later.Persistence, snapshotOf(t, m, first.ID).Persistence, "pending changes are not in it")
	require.NoError(t, s.Save())
	require.True(t, snapshotOf(t, m, first.ID).CookieUntil.IsZero())

	for _, id := range []string{"", "nonsense", strings.Repeat("A", 43)} {
		_, ok, err := m.Session(t.Context(), id).Snapshot()
		require.NoError(t, err)
		require.False(t, ok)
	}
}

func TestSaveAt(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		m, _ := jsonManager(t, s)
		first := begin(t, m, "n", "1")

		a := m.Session(t.Context(), first.ID)
		require.NoError(t, errors.Join(a.SetEncoded("n", []byte("2")), a.SaveAt(first.Revision)))
		b := m.Session(t.Context(), first.ID)
		require.NoError(t, b.SetEncoded("n", []byte("3")))
		require.ErrorIs(t, b.SaveAt(first.Revision), session.ErrChanged)
		require.Equal(t, "2", string(snapshotOf(t, m, first.ID).Values[0].Data))
		require.True(t, b.Modified(), "the changes stay")
		require.NoError(t, b.Save(), "on no condition")
		require.Equal(t, "3", string(snapshotOf(t, m, first.ID).Values[0].Data))

		// Nor is the condition held only when the session is loaded.
		at := snapshotOf(t, m, first.ID).Revision
		c := m.Session(t.Context(), first.ID)
		require.NoError(t, c.Delete("n"))
		require.NoError(t, errors.Join(b.SetEncoded("m", []byte("4")), b.Save()))
		require.ErrorIs(t, c.SaveAt(at), session.ErrChanged)
		d := m.Session(t.Context(), first.ID)
		require.ErrorIs(t, d.SaveAt(at), session.ErrChanged, "with nothing to save")

		// It begins no session.
		for _, id := range []string{"", strings.Repeat("A", 43)} {
			none := m.Session(t.Context(), id)
			require.NoError(t, none.SetEncoded("n", []byte("1")))
			require.ErrorIs(t, none.SaveAt(1), session.ErrGone)
			exists, err := none.Exists()
			require.NoError(t, err)
			require.False(t, exists)
		}
		ended := m.Session(t.Context(), first.ID)
		require.NoError(t, ended.Destroy())
		require.NoError(t, c.SetEncoded("n", []byte("1")))
		require.ErrorIs(t, c.SaveAt(at+1), session.ErrGone)
	})
}

// TestSaveAtLosesNoChange of many writers, each of which tries again from what is there.
func TestSaveAtLosesNoChange(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		m, _ := jsonManager(t, s)
		id := begin(t, m, "n", "0").ID
		const writers, times = 8, 10
		var wait sync.WaitGroup
		for range writers {
			wait.Go(func() {
				for done := 0; done < times; {
					w := m.Session(context.Background(), id)
					now, ok, err := w.Snapshot()
					if err != nil || !ok {
						t.Errorf("found %v, %v", ok, err)
						return
					}
					n, _ := strconv.Atoi(string(now.Values[0].Data))
					switch err := errors.Join(w.SetEncoded("n", strconv.AppendInt(nil, int64(n+1), 10)), w.SaveAt(now.Revision)); {
					case err == nil:
						done++
					case !errors.Is(err, session.ErrChanged):
						t.Error(err)
						return
					}
				}
			})
		}
		wait.Wait()
		require.Equal(t, strconv.Itoa(writers*times), string(snapshotOf(t, m, id).Values[0].Data))
	})
}

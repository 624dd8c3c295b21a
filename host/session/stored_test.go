package session_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

var newStored = flag.String("stored", "", "keep records as this code writes them: make testdata/stored/VERSION-….json")

// storedRecords is a file of testdata/stored: all that an application of some version
// had in its store at a time, and what its clients had.
type storedRecords struct {
	Codec  string            `json:"codec"`
	Secret string            `json:"secret,omitempty"`
	Now    int64             `json:"now"`
	IDs    map[string]string `json:"ids"`
	Token  string            `json:"token"` // of the session "logged in", against cross-site requests
	Things []storedRecord    `json:"records"`
}

type storedRecord struct {
	Key, Value []byte
	Expires    store.Millis
}

func (f *storedRecords) settings(t *testing.T) func(*session.Settings) {
	return func(s *session.Settings) {
		s.Lifetime, s.RenewEvery, s.RenewGrace = 24*time.Hour, time.Hour, time.Minute
		s.Codec = map[string]session.Codec{"cbor": session.CBOR, "json": session.JSON}[f.Codec]
		if f.Secret != "" {
			s.Keyring = keyring(t, f.Secret)
		}
	}
}

var (
	storedProfile = session.NewKey[profile]("profile")
	storedTime    = session.NewKey[time.Time]("time")
	storedFlash   = session.NewFlash[string]("flash")
	someProfile   = profile{"ada", []string{"a", "zażółć"}, map[string]int{"n": -1}}
	someTime      = time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)
)

// write lets clients of an application leave every kind of record.
func (f *storedRecords) write(t *testing.T) {
	s := store.NewMemory()
	a := newApp(t, s, f.settings(t))
	f.IDs = make(map[string]string)
	is := func(name string, b *browser) { f.IDs[name] = b.id() }
	moved, renewed, ended := a.browser(), a.browser(), a.browser()
	moved.set("n", 5)
	a.clock.Advance(59*time.Minute + 50*time.Second)

	values, own, user, second := a.browser(), a.browser(), a.browser(), a.browser()
	values.do(func(s *session.Session) {
		require.NoError(t, storedProfile.Set(s, someProfile))
		require.NoError(t, storedTime.Set(s, someTime))
		require.NoError(t, s.Set("bytes", []byte{0, 255}))
		require.NoError(t, storedFlash.Add(s, "hello"))
		s.SetPersistence(session.EndWithBrowser)
	})
	is("values", values)
	own.do(func(s *session.Session) {
		require.NoError(t, s.Set("n", 1))
		require.NoError(t, s.SetExpiryTime(a.clock.Now().Add(3*time.Hour)))
		require.NoError(t, s.SetIdleTimeout(20*time.Minute))
		require.NoError(t, s.SetAbsoluteTimeout(2*time.Hour))
	})
	is("own timeouts", own)
	logIn := func(b *browser, user string) {
		b.do(func(s *session.Session) {
			require.NoError(t, s.LogIn(user, map[string]string{"browser": "of " + user}))
		})
	}
	logIn(user, "ada")
	user.do(func(s *session.Session) {
		token, err := s.CSRFToken()
		require.NoError(t, err)
		f.Token = token
	})
	is("logged in", user)
	logIn(second, "ada")
	is("second", second)
	renewed.set("n", 3)
	is("renewed", renewed)
	logIn(renewed, "eve")
	is("after renewal", renewed)
	logIn(ended, "bob")
	is("ended", ended)
	ended.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
	is("moved", moved)
	a.clock.Advance(15 * time.Second)
	moved.do(func(s *session.Session) { _, _ = s.Has("n") })
	is("after move", moved)
	require.NotEqual(t, f.IDs["moved"], f.IDs["after move"])

	f.Now = a.clock.Now().UnixMilli()
	for r, err := range s.Snapshot(ctx, store.At(a.clock.Now())) {
		require.NoError(t, err)
		f.Things = append(f.Things, storedRecord{r.Key, r.Value, r.Expires})
	}
	slices.SortFunc(f.Things, func(a, b storedRecord) int { return strings.Compare(string(a.Key), string(b.Key)) })
}

// TestStoredRecords: an application of today goes on with what one of an earlier version
// stored: sessions, users' lists, and what is left of sessions that were ended, renewed
// and moved; plain and sealed, in both codecs. To keep those of a new version:
// go test -run TestStoredRecords -stored v0.2.0. What is kept stays as it is.
func TestStoredRecords(t *testing.T) {
	if *newStored != "" {
		require.NoError(t, os.MkdirAll("testdata/stored", 0o755))
		for _, f := range []*storedRecords{{Codec: "cbor"}, {Codec: "json"}, {Codec: "cbor", Secret: secretNew}, {Codec: "json", Secret: secretNew}} {
			f.write(t)
			name := *newStored + "-" + f.Codec
			if f.Secret != "" {
				name += "-sealed"
			}
			file, err := os.OpenFile("testdata/stored/"+name+".json", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			require.NoError(t, err)
			out := json.NewEncoder(file)
			out.SetIndent("", "\t")
			require.NoError(t, out.Encode(f))
			require.NoError(t, file.Close())
		}
	}
	files, err := filepath.Glob("testdata/stored/*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 4)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			var f storedRecords
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &f))
			f.read(t)
		})
	}
}

// read goes on where write ended.
func (f *storedRecords) read(t *testing.T) {
	s := store.NewMemory()
	for _, r := range f.Things {
		require.NoError(t, s.Set(ctx, store.Write{Key: r.Key, Value: r.Value, Expires: r.Expires, Now: store.Millis(f.Now)}))
	}
	a := newApp(t, s, f.settings(t))
	a.clock.Set(time.UnixMilli(f.Now))
	with := func(name string, do func(s *session.Session)) *reply {
		require.NotEmpty(t, f.IDs[name])
		return a.with([]string{"session_id=" + f.IDs[name]}, do)
	}
	user := func(s *session.Session) string {
		user, err := s.User()
		require.NoError(t, err)
		return user
	}

	with("values", func(s *session.Session) {
		got, err := storedProfile.Get(s)
		require.NoError(t, err)
		require.Equal(t, someProfile, got)
		at, err := storedTime.Get(s)
		require.NoError(t, err)
		require.True(t, someTime.Equal(at))
		requireValue(t, s, "bytes", []byte{0, 255})
		messages, err := storedFlash.PopAll(s)
		require.NoError(t, err)
		require.Equal(t, []string{"hello"}, messages)
	})
	created := time.UnixMilli(f.Now).Add(-15 * time.Second)
	with("own timeouts", func(s *session.Session) {
		requireValue(t, s, "n", 1)
		end, err := s.Expires()
		require.NoError(t, err)
		require.Equal(t, created.Add(20*time.Minute).UnixMilli(), end.UnixMilli(), "its own idle timeout")
	})
	with("logged in", func(s *session.Session) {
		require.Equal(t, "ada", user(s))
		require.NoError(t, s.CheckCSRF(f.Token))
	})
	with("after renewal", func(s *session.Session) {
		require.Equal(t, "eve", user(s))
		requireValue(t, s, "n", 3)
	})
	for name, want := range map[string]error{"ended": session.ErrGone, "renewed": session.ErrRenewed} {
		got := with(name, func(s *session.Session) {
			require.NoError(t, s.Set("n", 9))
			require.ErrorIs(t, s.Save(), want, name)
		})
		require.Nil(t, got.cookie())
	}
	got := with("moved", func(s *session.Session) { requireValue(t, s, "n", 5) })
	require.Equal(t, f.IDs["after move"], got.cookie().Value, "an old id leads on to the new one")

	list, err := a.manager.UserSessions(ctx, "ada")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, map[string]string{"browser": "of ada"}, list[0].Note)
	for name, n := range map[string]int{"bob": 0, "ada": 2, "eve": 1} {
		ended, err := a.manager.RevokeAll(ctx, name)
		require.NoError(t, err)
		require.Equal(t, n, ended, name)
	}
	for _, name := range []string{"logged in", "second", "after renewal"} {
		with(name, func(s *session.Session) { require.Empty(t, user(s)) })
	}
	require.NotContains(t, a.kinds(), session.EventCorrupt)
}

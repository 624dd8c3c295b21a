package session_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestSessionByHandle(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal, func(s *session.Settings) { s.IdleTimeout, s.LastSeenResolution = time.Hour, time.Minute })
		b := a.browser()
		b.set("basket", []string{"tea", "cake"})
		a.clock.Advance(time.Minute)
		b.do(func(s *session.Session) {
			require.NoError(t, s.LogIn("ada", map[string]string{"browser": "lynx"}))
			s.SetPersistence(session.EndWithBrowser)
			_, err := s.CSRFToken()
			require.NoError(t, err)
		})
		b.addFlash(notices, "the library's own")
		a.clock.Advance(30 * time.Minute)

		info := ofUser(t, a.manager, "ada")
		d, err := a.manager.SessionByHandle(ctx, info.Handle)
		require.NoError(t, err)
		require.Equal(t, session.SessionDetail{
			SessionInfo: info, Revision: d.Revision, Issued: at(time.Minute), LoggedIn: at(time.Minute),
			Note: map[string]string{"browser": "lynx"}, Persistence: session.EndWithBrowser,
			Values: map[string]json.RawMessage{"basket": json.RawMessage(`["tea","cake"]`)},
		}, d)
		require.Positive(t, d.Revision)

		// Nobody is seen by it, and it has no id.
		again := ofUser(t, a.manager, "ada")
		require.Equal(t, info, again)
		text, err := json.Marshal(d)
		require.NoError(t, err)
		require.NotContains(t, string(text), b.id())

		// A session is followed when it logs in again.
		b.do(func(s *session.Session) { require.NoError(t, s.LogIn("ada", nil)) })
		d, err = a.manager.SessionByHandle(ctx, info.Handle)
		require.NoError(t, err)
		require.Equal(t, ofUser(t, a.manager, "ada").Handle, d.Handle)
		require.NotEqual(t, info.Handle, d.Handle)

		b.do(func(s *session.Session) { require.NoError(t, s.Destroy()) })
		for _, handle := range []string{d.Handle, info.Handle, "", "?", strings.Repeat("A", 43)} {
			_, err = a.manager.SessionByHandle(ctx, handle)
			require.ErrorIs(t, err, store.ErrNotFound, handle)
		}
	})
}

// TestSessionByHandleCountsWhatRequestsCount: a session that no request would get is
// not shown.
func TestSessionByHandleCountsWhatRequestsCount(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		a := newApp(t, s, func(s *session.Settings) { s.RenewEvery = time.Hour })
		b := a.browser()
		b.set("n", 1)
		old := ofUser(t, a.manager, "").Handle
		a.clock.Advance(2 * time.Hour)
		b.set("n", 2)
		_, err := a.manager.SessionByHandle(ctx, old)
		require.ErrorIs(t, err, session.ErrRenewed, "its id was renewed by age")

		var lists [][]byte
		logIn(t, a.manager, "ada")
		handle := ofUser(t, a.manager, "ada").Handle
		for key, err := range store.Keys(ctx, s, store.At(a.clock.Now())) {
			require.NoError(t, err)
			if value, err := s.Get(ctx, key, store.At(a.clock.Now())); err == nil && strings.Contains(string(value), "waddle.sessions") {
				lists = append(lists, key)
			}
		}
		require.Len(t, lists, 1)
		require.NoError(t, s.Delete(ctx, lists[0], store.At(a.clock.Now())))
		_, err = a.manager.SessionByHandle(ctx, handle)
		require.ErrorIs(t, err, store.ErrNotFound, "its user's list does not have it")

		current := ofUser(t, a.manager, "").Handle
		a.clock.Advance(30 * day)
		_, err = a.manager.SessionByHandle(ctx, current)
		require.ErrorIs(t, err, store.ErrNotFound, "it is over")
	})
}

func TestSessionByHandleSaysWhatFailed(t *testing.T) {
	a := newApp(t, store.NewMemory())
	a.browser().set("n", 1)
	handle := ofUser(t, a.manager, "").Handle
	broken := errors.New("broken")
	a.store.fail(func(o operation) error { return broken }, nil)
	_, err := a.manager.SessionByHandle(ctx, handle)
	require.ErrorIs(t, err, broken)
	a.store.fail(nil, nil)

	sealed := newApp(t, a.store, func(s *session.Settings) { s.Keyring = keyring(t, secretNew) })
	_, err = sealed.manager.SessionByHandle(ctx, handle)
	require.ErrorIs(t, err, session.ErrDecode)
	require.ErrorContains(t, err, "must be sealed")
}

// TestShownValues: whatever codecs write can be shown as JSON.
func TestShownValues(t *testing.T) {
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	moment := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)
	for _, c := range []struct {
		name  string
		value any
		want  string
		json  string // what codec JSON wrote, "" for the same
	}{
		{"text", "<b>\x1b&", `"<b>\u001b&"`, `"\u003cb\u003e\u001b\u0026"`},
		{"no text", "\xff", `"\ufffd"`, "refused"},
		{"whole number", -7, `-7`, ""},
		{"large number", uint64(math.MaxUint64), `18446744073709551615`, ""},
		{"larger number", huge, `123456789012345678901234567890`, ""},
		{"number", 1.5, `1.5`, ""},
		{"no number", math.NaN(), `"NaN"`, "refused"},
		{"endless", []float64{math.Inf(1), math.Inf(-1)}, `["+Inf","-Inf"]`, "refused"},
		{"bytes", []byte{0xff, 0}, `"/wA="`, ""},
		{"time", moment, `"2026-05-04T03:02:01.123456789Z"`, ""},
		{"nothing", nil, `null`, ""},
		{"struct", profile{"a", []string{"x"}, map[string]int{"n": 1}}, "", ""},
		{"map by numbers", map[int][]byte{1: {0xff}, -2: nil}, `{"-2":null,"1":"/w=="}`, ""},
		{"map by times", map[string]map[bool]any{"a": {true: moment}}, `{"a":{"true":"2026-05-04T03:02:01.123456789Z"}}`, "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, codec := range []session.Codec{session.CBOR, session.JSON} {
				a := newApp(t, store.NewMemory(), codecs(codec))
				s := a.manager.Session(ctx, "")
				want := c.want
				if codec == session.JSON && c.json != "" {
					want = c.json
				}
				if err := s.Set("v", c.value); want == "refused" {
					require.ErrorIs(t, err, session.ErrEncode)
					continue
				} else {
					require.NoError(t, err)
				}
				require.NoError(t, s.Save())
				d, err := a.manager.SessionByHandle(ctx, ofUser(t, a.manager, "").Handle)
				require.NoError(t, err)
				require.Empty(t, d.Unreadable)
				if want == "" {
					text, err := json.Marshal(c.value)
					require.NoError(t, err)
					require.JSONEq(t, string(text), string(d.Values["v"]))
					continue
				}
				require.Equal(t, want, string(d.Values["v"]))
			}
		})
	}
}

// TestShownValuesOfSeveralCodecs: each value is read by the codec that wrote it, and
// what no codec reads is named.
func TestShownValuesOfSeveralCodecs(t *testing.T) {
	before := newApp(t, store.NewMemory(), codecs(session.CBOR))
	b := before.browser()
	b.set("old", []byte("x"))
	after := release(t, before, codecs(session.JSON, session.CBOR))
	b.at(after).set("new", 1)
	handle := ofUser(t, after.manager, "").Handle
	d, err := after.manager.SessionByHandle(ctx, handle)
	require.NoError(t, err)
	require.Equal(t, map[string]json.RawMessage{"old": json.RawMessage(`"eA=="`), "new": json.RawMessage(`1`)}, d.Values)
	require.Empty(t, d.Unreadable)

	alone := release(t, before, codecs(session.JSON))
	d, err = alone.manager.SessionByHandle(ctx, handle)
	require.NoError(t, err)
	require.Equal(t, map[string]json.RawMessage{"new": json.RawMessage(`1`)}, d.Values)
	require.Equal(t, []string{"old"}, d.Unreadable)
}

// TestUserSessionInfos: the sessions of one user are listed as among all, and nothing of
// others is read.
func TestUserSessionInfos(t *testing.T) {
	overSeals(t, func(t *testing.T, s store.Store, seal func(*session.Settings)) {
		a := newApp(t, s, seal)
		for range 20 {
			a.browser().set("n", 1)
		}
		want := []session.SessionInfo{}
		for range 3 {
			a.clock.Advance(time.Second)
			logIn(t, a.manager, "ada")
			logIn(t, a.manager, "bob")
		}
		for _, info := range allSessions(t, a.manager) {
			if info.User == "ada" {
				want = append(want, info)
			}
		}
		require.Len(t, want, 3)
		a.store.take()
		found, err := a.manager.UserSessionInfos(ctx, "ada")
		require.NoError(t, err)
		require.ElementsMatch(t, want, found)
		require.True(t, found[0].Created.Before(found[1].Created) && found[1].Created.Before(found[2].Created), "oldest log-in first")
		require.Len(t, a.store.take(), 4, "the list, and three sessions")

		none, err := a.manager.UserSessionInfos(ctx, "carol")
		require.NoError(t, err)
		require.Empty(t, none)
		a.store.fail(func(operation) error { return store.ErrUnavailable }, nil)
		_, err = a.manager.UserSessionInfos(ctx, "ada")
		require.ErrorIs(t, err, store.ErrUnavailable)
		a.store.fail(nil, nil)
	})
}

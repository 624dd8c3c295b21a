package session_test

import (
	"bytes"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// convertAll moves every record of a store to another, and verifies each.
func convertAll(t *testing.T, from, to store.Store, c session.Conversion) (n int) {
	t.Helper()
	convert, err := session.NewConverter(c)
	require.NoError(t, err)
	for r, err := range store.Snapshot(ctx, from, clockStart) {
		require.NoError(t, err)
		before := bytes.Clone(r.Value)
		value, err := convert.Convert(r.Key, r.Value)
		require.NoError(t, err)
		require.Equal(t, before, r.Value, "what it was given stays as it is")
		require.NoError(t, to.Set(ctx, store.Write{Key: r.Key, Value: value, Expires: r.Expires, Now: clockStart}))
		stored, err := to.Get(ctx, r.Key, clockStart)
		require.NoError(t, err)
		require.NoError(t, convert.Verify(r.Key, r.Value, stored))
		n++
	}
	return n
}

// TestConverter: whatever the form that sessions come from and go to, everybody stays
// logged in with what they had, and what was ended stays ended.
func TestConverter(t *testing.T) {
	type form struct {
		name  string
		codec session.Codec
		ring  []string
	}
	var forms []form
	for _, codec := range []session.Codec{session.CBOR, session.JSON} {
		name := map[session.Codec]string{session.CBOR: "CBOR", session.JSON: "JSON"}[codec]
		forms = append(forms, form{name, codec, nil}, form{name + " sealed", codec, []string{secretOld}}, form{name + " sealed anew", codec, []string{secretNew}})
	}
	settings := func(f form) func(*session.Settings) {
		return func(s *session.Settings) {
			s.Codec, s.RenewEvery = f.codec, time.Hour
			if f.ring != nil {
				s.Keyring, _ = session.NewKeyring(f.ring...)
			}
		}
	}
	for _, from := range forms {
		for _, to := range forms {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				source := store.NewMemory()
				before := newApp(t, source, settings(from))
				old := before.browser()
				old.do(func(s *session.Session) {
					require.NoError(t, s.SetExpiry(90*day))
					require.NoError(t, s.SetIdleTimeout(30*day))
					require.NoError(t, s.Set("n", 41))
				})
				before.clock.Advance(2 * time.Hour)
				b := before.browser()
				b.do(func(s *session.Session) {
					require.NoError(t, s.Set("basket", map[string][]float64{"a": {1, 2.5, 1e300}, "b": nil}))
					require.NoError(t, s.LogIn("ada", map[string]string{"browser": "lynx"}))
				})
				b.addFlash(notices, "saved")
				var renewed string
				old.do(func(s *session.Session) { require.NoError(t, s.Set("n", 42)) })
				renewed = old.id()
				ended, _ := logIn(t, before.manager, "ada")
				require.NoError(t, before.manager.Session(ctx, ended).Destroy())
				foreign := store.Write{Key: []byte("foreign"), Value: []byte("not ours"), Now: clockStart}
				require.NoError(t, source.Set(ctx, foreign))

				target := store.NewMemory()
				conversion := session.Conversion{Codec: to.codec}
				if from.ring != nil {
					conversion.Open = keyring(t, from.ring...)
				}
				if to.ring != nil {
					conversion.Seal = keyring(t, to.ring...)
				}
				require.Equal(t, 6, convertAll(t, source, target, conversion), "two sessions, a list, what is left of two ids, and what is not ours")

				after := newApp(t, target, settings(to))
				after.follow(before)
				require.Equal(t, withoutSizes(allSessions(t, before.manager)), withoutSizes(allSessions(t, after.manager)))
				read := func(id string) *session.Session { return after.manager.Session(ctx, id) }
				var basket map[string][]float64
				ok, err := read(b.id()).Get("basket", &basket)
				require.NoError(t, err)
				require.True(t, ok)
				require.Equal(t, map[string][]float64{"a": {1, 2.5, 1e300}, "b": nil}, basket)
				user, err := read(b.id()).User()
				require.NoError(t, err)
				require.Equal(t, "ada", user)
				var n int
				_, err = read(renewed).Get("n", &n)
				require.NoError(t, err)
				require.Equal(t, 42, n)
				_, there := alive(t, after.manager, ended)
				require.False(t, there)
				list, err := after.manager.UserSessions(ctx, "ada")
				require.NoError(t, err)
				require.Len(t, list, 1)
				require.Equal(t, map[string]string{"browser": "lynx"}, list[0].Note)
				require.Equal(t, []string{"saved"}, b.at(after).takeFlash(notices))
				n2, err := after.manager.RevokeAll(ctx, "ada")
				require.NoError(t, err)
				require.Equal(t, 1, n2)
				require.Empty(t, after.kindsOf(session.EventCorrupt, session.EventUnlisted))

				foreignValue, err := target.Get(ctx, foreign.Key, clockStart)
				require.NoError(t, err)
				require.Equal(t, foreign.Value, foreignValue)
			})
		}
	}
}

func withoutSizes(list []session.SessionInfo) []session.SessionInfo {
	for i := range list {
		list[i].Size = 0 // differs by codec
	}
	return list
}

// kindsOf returns the events of some kinds since the last call.
func (a *app) kindsOf(kinds ...session.EventKind) (found []session.Event) {
	for _, e := range a.takeEvents() {
		for _, kind := range kinds {
			if e.Kind == kind {
				found = append(found, e)
			}
		}
	}
	return found
}

// stored returns the key and value of the only record of a store.
func onlyRecord(t *testing.T, s store.Store) (r store.Record) {
	t.Helper()
	n := 0
	for found, err := range store.Snapshot(ctx, s, clockStart) {
		require.NoError(t, err)
		r = found
		n++
	}
	require.Equal(t, 1, n)
	return r
}

// oneValue returns the record of a session with one value.
func oneValue(t *testing.T, codec session.Codec, v any, change ...func(*session.Settings)) store.Record {
	t.Helper()
	s := store.NewMemory()
	a := newApp(t, s, append(change, codecs(codec))...)
	b := a.manager.Session(ctx, "")
	require.NoError(t, b.Set("v", v))
	require.NoError(t, b.Save())
	return onlyRecord(t, s)
}

// TestConvertedValues: a value becomes what the other codec writes for it, there and
// back, or is refused.
func TestConvertedValues(t *testing.T) {
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	moment := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.FixedZone("", 3600))
	const lacks = "which JSON does not have"
	for _, c := range []struct {
		name    string
		value   any
		exact   string // why it is refused without AsText, or ""
		refused string // why it is refused with it, or ""
		oneWay  bool   // what comes back is text
	}{
		{"text", "<b>\x1b&\u2028\"\\", "", "", false},
		{"true", true, "", "", false},
		{"nothing", nil, "", "", false},
		{"zero", 0, "", "", false},
		{"least", int64(math.MinInt64), "", "", false},
		{"largest", uint64(math.MaxUint64), "", "", false},
		{"huge", huge, "", "", false},
		{"fraction", 0.1, "", "", false},
		{"tiny", 5e-324, "", "", false},
		{"largest float", math.MaxFloat64, "", "", false},
		{"nested", map[string]any{"a": []any{1, "x", map[string]any{}}, "": nil}, "", "", false},
		{"struct", profile{"a", []string{"x"}, map[string]int{"n": 1}}, "", "", false},
		{"bytes", []byte{0xff, 0, 1}, "bytes, " + lacks, "", true},
		{"time", moment, "a time, " + lacks, "", true},
		{"by numbers", map[int]string{1: "a", -2: "b"}, "whole numbers as keys", "", true},
		{"not a number", math.NaN(), "not finite", "not finite", false},
		{"endless", []float64{math.Inf(-1)}, "not finite", "not finite", false},
		{"no text", "\xff", "not UTF-8", "not UTF-8", false},
		{"by bools", map[bool]int{true: 1}, "kind bool", "kind bool", false},
		{"by floats", map[float64]int{1.5: 1}, "kind float64", "kind float64", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := oneValue(t, session.CBOR, c.value)
			for _, asText := range []bool{false, true} {
				toJSON, err := session.NewConverter(session.Conversion{Codec: session.JSON, AsText: asText})
				require.NoError(t, err)
				refused := c.exact
				if asText {
					refused = c.refused
				}
				converted, err := toJSON.Convert(r.Key, r.Value)
				if refused != "" {
					require.ErrorIs(t, err, session.ErrNotConvertible)
					require.ErrorContains(t, err, `value "v": `)
					require.ErrorContains(t, err, refused)
					continue
				}
				require.NoError(t, err)
				written := oneValue(t, session.JSON, c.value)
				require.JSONEq(t, string(onlyValue(written.Value)), string(onlyValue(converted)), "what codec JSON writes itself")
				if c.oneWay {
					continue
				}
				toCBOR, err := session.NewConverter(session.Conversion{Codec: session.CBOR})
				require.NoError(t, err)
				back, err := toCBOR.Convert(r.Key, converted)
				require.NoError(t, err)
				again, err := toJSON.Convert(r.Key, back)
				require.NoError(t, err)
				require.Equal(t, converted, again)
			}
		})
	}
}

// onlyValue returns the value of a record that has a short one with a name of one letter.
func onlyValue(stored []byte) []byte { return stored[72+3:] }

// TestConvertedJSON: what other programs may write as JSON is converted exactly or
// refused.
func TestConvertedJSON(t *testing.T) {
	for _, c := range []struct{ json, says string }{
		{`1e3`, ""}, {`-0`, ""}, {`1.50`, ""}, {`123456789012345678901234567890`, ""}, {`{"a":[1.0e-2]}`, ""}, {`0e99999`, ""},
		{`0.1000000000000000055511151231257827`, "more digits"},
		{`1e400`, "another exponent"}, {`1e-99999`, "another exponent"}, {`[1E-400]`, "another exponent"},
		{`{`, "damaged"}, {`1 2`, "damaged"},
	} {
		r := oneValue(t, rawJSON{session.JSON}, c.json)
		toCBOR, err := session.NewConverter(session.Conversion{Codec: session.CBOR})
		require.NoError(t, err)
		_, err = toCBOR.Convert(r.Key, r.Value)
		if c.says == "" {
			require.NoError(t, err, c.json)
			continue
		}
		require.ErrorIs(t, err, session.ErrNotConvertible, c.json)
		require.ErrorContains(t, err, c.says)
		require.NotContains(t, err.Error(), c.json, "it does not tell the value")
	}
}

// TestConvertedTimes: the text of a time is read into one from CBOR as well.
func TestConvertedTimes(t *testing.T) {
	moment := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)
	from, to := store.NewMemory(), store.NewMemory()
	before := newApp(t, from, codecs(session.JSON))
	b := before.browser()
	b.set("at", moment)
	convertAll(t, from, to, session.Conversion{Codec: session.CBOR})
	after := newApp(t, to, codecs(session.CBOR))
	var found time.Time
	ok, err := after.manager.Session(ctx, b.id()).Get("at", &found)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, moment, found)
}

// rawJSON writes text as it is.
type rawJSON struct{ session.Codec }

func (rawJSON) Marshal(v any) ([]byte, error) { return []byte(v.(string)), nil }

// own is a codec of an application.
type own struct{ session.Codec }

func (own) ID() uint8 { return 200 }

func TestConverterRefuses(t *testing.T) {
	plain := oneValue(t, session.CBOR, "x")
	seal := func(s *session.Settings) { s.Keyring = keyring(t, secretOld) }
	sealed := oneValue(t, session.CBOR, "x", seal)
	broken := sealed
	broken.Value = bytes.Clone(sealed.Value)
	broken.Value[len(broken.Value)-1]++
	for _, c := range []struct {
		name string
		c    session.Conversion
		r    store.Record
		err  error
		says string
	}{
		{"sealed without a secret", session.Conversion{Codec: session.JSON}, sealed, session.ErrDecode, "its secret must be given"},
		{"sealed with another secret", session.Conversion{Open: keyring(t, secretNew)}, sealed, session.ErrDecode, "does not have"},
		{"damaged", session.Conversion{Open: keyring(t, secretOld)}, broken, session.ErrDecode, "seal is broken"},
		{"not sealed", session.Conversion{Open: keyring(t, secretOld)}, plain, session.ErrNotConvertible, "it is not sealed"},
		{"not sealed, and told so", session.Conversion{Open: keyring(t, secretOld), Unsealed: true, Seal: keyring(t, secretNew)}, plain, nil, ""},
		{"of an application", session.Conversion{Codec: session.JSON}, oneValue(t, own{session.CBOR}, "x"), session.ErrNotConvertible, `value "v": codec 200`},
		{"no record", session.Conversion{Codec: session.JSON}, store.Record{Key: plain.Key, Value: []byte("not ours at all")}, session.ErrDecode, "has 15 bytes"},
		{"no record, as it is", session.Conversion{}, store.Record{Key: plain.Key, Value: []byte("not ours at all")}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			convert, err := session.NewConverter(c.c)
			require.NoError(t, err)
			value, err := convert.Convert(c.r.Key, c.r.Value)
			if c.err == nil {
				require.NoError(t, err)
				require.NoError(t, convert.Verify(c.r.Key, c.r.Value, value))
				return
			}
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, c.says)
		})
	}
	for _, c := range []struct {
		c    session.Conversion
		says string
	}{
		{session.Conversion{Codec: own{session.CBOR}}, "id 200: must be CBOR or JSON"},
		{session.Conversion{Unsealed: true}, "must be unset without one"},
	} {
		_, err := session.NewConverter(c.c)
		require.ErrorIs(t, err, session.ErrSettings)
		require.ErrorContains(t, err, c.says)
	}
}

// TestConverterVerifies: what was not written as it should be is found.
func TestConverterVerifies(t *testing.T) {
	r := oneValue(t, session.CBOR, "x")
	for _, seal := range []*session.Keyring{nil, keyring(t, secretNew)} {
		convert, err := session.NewConverter(session.Conversion{Codec: session.JSON, Seal: seal})
		require.NoError(t, err)
		good, err := convert.Convert(r.Key, r.Value)
		require.NoError(t, err)
		require.NoError(t, convert.Verify(r.Key, r.Value, good))
		for at := range good {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			require.Error(t, convert.Verify(r.Key, r.Value, bad), "byte %d", at)
		}
		require.Error(t, convert.Verify(r.Key, r.Value, good[:len(good)-1]))
		require.Error(t, convert.Verify(r.Key, r.Value, nil))
		require.Error(t, convert.Verify(r.Key, r.Value, r.Value), "as it was")
	}
}

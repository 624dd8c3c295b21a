package session_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func codecs(write session.Codec, read ...session.Codec) func(*session.Settings) {
	return func(s *session.Settings) { s.Codec, s.ReadCodecs = write, read }
}

// TestAChangeOfCodecKeepsEveryValue with its type, however it is read.
func TestAChangeOfCodecKeepsEveryValue(t *testing.T) {
	overStores(t, func(t *testing.T, s store.Store) {
		before := newApp(t, s, codecs(session.CBOR))
		after := release(t, before, codecs(session.JSON, session.CBOR))
		back := release(t, before, codecs(session.CBOR, session.JSON))
		alone := release(t, before, codecs(session.JSON))
		moment := time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)
		at, bytes := session.NewKey[time.Time]("at"), session.NewKey[map[int][]byte]("bytes")
		flash := session.NewFlash[profile]("notes")
		note := func(name string) profile { return profile{name, []string{"x"}, map[string]int{"n": 1}} }

		b := before.browser()
		b.do(func(s *session.Session) {
			require.NoError(t, at.Set(s, moment))
			require.NoError(t, bytes.Set(s, map[int][]byte{1: {0xff}}))
			require.NoError(t, benchCount.Set(s, 41))
			require.NoError(t, s.Set("user", "ada"))
			require.NoError(t, flash.Add(s, note("first")))
		})
		before.clock.Advance(time.Millisecond) // messages are ordered by their milliseconds
		untouched := func(s *session.Session) {
			requireValue(t, s, "at", moment)
			requireValue(t, s, "bytes", map[int][]byte{1: {0xff}})
		}
		b.at(after).do(untouched)
		b.at(after).do(func(s *session.Session) {
			n, err := session.Increment(s, benchCount, 1)
			require.NoError(t, err)
			require.Equal(t, 42, n)
			require.NoError(t, flash.Add(s, note("second")))
			untouched(s)
		})
		b.at(after).do(func(s *session.Session) {
			require.NoError(t, s.LogIn("ada", nil))
			untouched(s)
			keys, err := s.Keys()
			require.NoError(t, err)
			slices.Sort(keys)
			require.Equal(t, []string{"at", "bytes", "count", "user"}, keys)
		})
		b.at(back).do(func(s *session.Session) {
			untouched(s)
			requireValue(t, s, "count", 42)
			require.NoError(t, s.Set("user", "eve"))
		})
		b.at(after).do(func(s *session.Session) {
			notes, err := flash.PopAll(s)
			require.NoError(t, err)
			require.Equal(t, []profile{note("first"), note("second")}, notes)
			v, ok, err := at.Pop(s)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, moment, v)
			require.NoError(t, at.Set(s, moment))
			requireValue(t, s, "user", "eve")
			require.NoError(t, s.Set("user", "ada"))
		})
		b.at(after).do(untouched)
		// Once each value has been set, the record is of one codec again.
		b.at(after).do(func(s *session.Session) {
			require.NoError(t, bytes.Set(s, map[int][]byte{1: {0xff}}))
			require.NoError(t, benchCount.Set(s, 43))
		})
		b.at(alone).do(untouched)
		require.Equal(t, "ada", alone.peek(b.id()))
		raw, err := s.Get(ctx, []byte(storageKeyOf(b.id())), store.At(before.clock.Now()))
		require.NoError(t, err)
		require.NotContains(t, string(raw), "waddle.codecs")
		for _, a := range []*app{before, after, back, alone} {
			require.NotContains(t, a.kinds(), session.EventCorrupt)
		}

		require.Empty(t, before.peek(b.id()), "a codec that is not read")
		events := before.takeEvents()
		require.Equal(t, session.EventCorrupt, events[0].Kind)
		require.ErrorContains(t, events[0].Err, "ReadCodecs")
	})
}

func requireValue[T any](t *testing.T, s *session.Session, key string, want T) {
	t.Helper()
	var got T
	ok, err := s.Get(key, &got)
	require.NoError(t, err)
	require.True(t, ok, key)
	require.Equal(t, want, got)
}

// TestAValueOfACodecThatIsReadNoMore: the value is absent, as one that does not
// decode, with an event, and the rest of the session stays.
func TestAValueOfACodecThatIsReadNoMore(t *testing.T) {
	before := newApp(t, store.NewMemory(), codecs(session.CBOR))
	b := before.browser()
	b.do(func(s *session.Session) {
		require.NoError(t, s.Set("user", "ada"))
		require.NoError(t, s.Set("n", 1))
	})
	b.at(release(t, before, codecs(session.JSON, session.CBOR))).set("n", 2)
	alone := release(t, before, codecs(session.JSON))
	b.at(alone).do(func(s *session.Session) {
		requireValue(t, s, "n", 2)
		ok, err := s.Get("user", new(string))
		require.NoError(t, err)
		require.False(t, ok)
	})
	events := alone.takeEvents()
	require.Len(t, events, 1)
	require.Equal(t, session.EventCorrupt, events[0].Kind)
	require.ErrorContains(t, events[0].Err, `"user" has codec 1`)
}

// TestReleasesOfTwoCodecsMerge: releases of two codecs merge simultaneous
// changes.
func TestReleasesOfTwoCodecsMerge(t *testing.T) {
	one := newApp(t, store.NewMemory(), codecs(session.CBOR, session.JSON))
	other := release(t, one, codecs(session.JSON, session.CBOR))
	b := one.browser()
	b.do(func(s *session.Session) {
		require.NoError(t, s.Set("a", uint64(1<<63)))
		require.NoError(t, s.Set("b", "b"))
	})
	b.do(func(s *session.Session) {
		requireValue(t, s, "b", "b")
		require.NoError(t, s.Set("b", "mine"))
		b.at(other).do(func(s *session.Session) { require.NoError(t, s.Set("c", map[string]int{"x": 1})) })
	})
	require.Contains(t, one.kinds(), session.EventConflict)
	for _, a := range []*app{one, other} {
		b.at(a).do(func(s *session.Session) {
			requireValue(t, s, "a", uint64(1<<63))
			requireValue(t, s, "b", "mine")
			requireValue(t, s, "c", map[string]int{"x": 1})
		})
		require.NotContains(t, a.kinds(), session.EventCorrupt)
	}
}

// TestRandomReleases: three releases with different codecs change one session
// at random. A map says what it must hold.
func TestRandomReleases(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		third := tagged{}
		apps := []*app{newApp(t, store.NewMemory(), codecs(session.CBOR, session.JSON, third))}
		apps = append(apps,
			release(t, apps[0], codecs(session.JSON, session.CBOR, third)),
			release(t, apps[0], codecs(third, session.JSON, session.CBOR)))
		want := map[string]int{}
		b := apps[0].browser()
		for i := range 100 {
			key := session.NewKey[int](fmt.Sprint(random.IntN(5)))
			b.at(apps[random.IntN(len(apps))]).do(func(s *session.Session) {
				switch random.IntN(9) {
				case 0:
					require.NoError(t, key.Delete(s))
					delete(want, key.Name())
				case 1:
					got, ok, err := key.Pop(s)
					require.NoError(t, err)
					had, there := want[key.Name()]
					require.Equal(t, there, ok)
					require.Equal(t, had, got)
					delete(want, key.Name())
				case 2:
					got, err := session.Increment(s, key, 1)
					require.NoError(t, err)
					want[key.Name()]++
					require.Equal(t, want[key.Name()], got)
				case 3:
					require.NoError(t, s.Renew())
				case 4:
					if i%5 == 0 {
						require.NoError(t, s.Clear())
						clear(want)
					}
					fallthrough
				default:
					require.NoError(t, key.Set(s, i))
					want[key.Name()] = i
				}
			})
			got := map[string]int{}
			b.at(apps[random.IntN(len(apps))]).do(func(s *session.Session) {
				keys, err := s.Keys()
				require.NoError(t, err)
				for _, key := range keys {
					var n int
					ok, err := s.Get(key, &n)
					require.NoError(t, err)
					require.True(t, ok, "seed %d", seed)
					got[key] = n
				}
			})
			require.True(t, maps.Equal(want, got), "seed %d, step %d: %v and %v", seed, i, want, got)
		}
		for _, a := range apps {
			require.NotContains(t, a.kinds(), session.EventCorrupt)
		}
	}
}

// tagged is a codec whose data no other codec reads.
type tagged struct{}

func (tagged) ID() uint8 { return 200 }

func (tagged) Marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	return append([]byte{0xff, 0xfe}, data...), err
}

func (tagged) Unmarshal(data []byte, v any) error {
	if len(data) < 2 || data[0] != 0xff || data[1] != 0xfe {
		return fmt.Errorf("not of this codec")
	}
	return json.Unmarshal(data[2:], v)
}

// TestALookChangesNoCodec: an access must not make a record larger.
func TestALookChangesNoCodec(t *testing.T) {
	before := newApp(t, store.NewMemory(), codecs(session.CBOR))
	b := before.browser()
	b.set("user", "ada")
	after := release(t, before, codecs(session.JSON, session.CBOR), func(s *session.Settings) { s.LastSeenResolution = time.Second })
	after.clock.Advance(time.Minute)
	after.store.take()
	require.Equal(t, http.StatusOK, b.at(after).do(look).StatusCode)
	require.Equal(t, "ada", before.peek(b.id()), "still of the codec that wrote it")
}

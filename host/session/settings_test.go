package session_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestDefaults are Duck's.
func TestDefaults(t *testing.T) {
	s := session.Defaults()
	require.Equal(t, "records", s.Engine)
	require.Equal(t, "memory", s.Storage)
	require.Empty(t, s.Dir)
	require.Equal(t, 604800*time.Second, s.Duration)
	require.Zero(t, s.IdleTimeout)
	require.Zero(t, s.AbsoluteTimeout)
	require.Equal(t, 10*time.Second, s.StoreTimeout)
	require.False(t, s.ExpireAtBrowserClose)
	require.Equal(t, "session_id", s.CookieName)
	require.Equal(t, "/", s.CookiePath)
	require.Empty(t, s.CookieDomain)
	require.False(t, s.CookieSecure)
	require.True(t, s.CookieHTTPOnly)
	require.Equal(t, http.SameSiteLaxMode, s.CookieSameSite)
	require.False(t, s.CookiePartitioned)
	require.Equal(t, session.CBOR, s.Codec)
	require.Nil(t, s.Keyring)
	require.Equal(t, 1<<20, s.MaxSize)
	require.Equal(t, 100, s.MaxUserSessions)
	require.NoError(t, s.Check())
}

// TestCheck: each case changes the defaults; says is what the error must name.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*session.Settings)
		says   string // empty: it is right
	}{
		{"zero settings", func(s *session.Settings) { *s = session.Settings{} }, "Defaults()"},
		{"no codec", func(s *session.Settings) { s.Codec = nil }, "Codec"},
		{"no clock", func(s *session.Settings) { s.Now = nil }, "Now"},
		{"no random bits", func(s *session.Settings) { s.Rand = nil }, "Rand"},
		{"no engine", func(s *session.Settings) { s.Engine = "" }, "Engine"},
		{"no cookie name", func(s *session.Settings) { s.CookieName = "" }, "CookieName"},

		{"codecs to read", func(s *session.Settings) { s.ReadCodecs = []session.Codec{session.JSON, tagged{}} }, ""},
		{"no codec to read", func(s *session.Settings) { s.ReadCodecs = []session.Codec{session.JSON, nil} }, "ReadCodecs has nil at 1"},
		{"the codec to read", func(s *session.Settings) { s.ReadCodecs = []session.Codec{session.CBOR} }, "codec of id 1 at 0"},
		{"a codec to read twice", func(s *session.Settings) { s.ReadCodecs = []session.Codec{session.JSON, session.JSON} }, "codec of id 2 at 1"},
		{"unsealed without a keyring", func(s *session.Settings) { s.WriteUnsealed = true }, "WriteUnsealed is set and Keyring is not"},
		{"unsealed for a time without a keyring", func(s *session.Settings) { s.ReadUnsealedUntil = time.Unix(1, 0) }, "ReadUnsealedUntil is set and Keyring is not"},
		{"unsealed for a time that is over", func(s *session.Settings) {
			s.Keyring, s.ReadUnsealedUntil = keyring(t, secretNew), time.Unix(1, 0)
		}, ""},
		{"unsealed for a time and without an end", func(s *session.Settings) {
			s.Keyring, s.ReadUnsealedUntil, s.WriteUnsealed = keyring(t, secretNew), time.Unix(1, 0), true
		}, "are both set"},
		{"the longest namespace", func(s *session.Settings) { s.Namespace = strings.Repeat("n", session.MaxNamespace) }, ""},
		{"a namespace too long", func(s *session.Settings) { s.Namespace = strings.Repeat("n", session.MaxNamespace+1) }, "Namespace is"},
		{"a namespace with a NUL", func(s *session.Settings) { s.Namespace = "a\x00b" }, "NUL"},
		{"a cookie name too long for a namespace", func(s *session.Settings) { s.CookieName = strings.Repeat("n", session.MaxNamespace+1) }, "set a shorter Namespace"},
		{"a long cookie name beside a namespace", func(s *session.Settings) {
			s.CookieName, s.Namespace = strings.Repeat("n", session.MaxNamespace+1), "n"
		}, ""},

		{"duration of a second", func(s *session.Settings) { s.Duration = time.Second }, ""},
		{"duration of less", func(s *session.Settings) { s.Duration = time.Second - 1 }, "Duration is 999.999999ms"},
		{"duration of nothing", func(s *session.Settings) { s.Duration = 0 }, "Duration"},
		{"negative duration", func(s *session.Settings) { s.Duration = -time.Hour }, "Duration"},
		{"duration of a century and more", func(s *session.Settings) { s.Duration = 101 * 365 * 24 * time.Hour }, "Duration"},
		{"negative idle timeout", func(s *session.Settings) { s.IdleTimeout = -1 }, "IdleTimeout"},
		{"idle timeout that would be none", func(s *session.Settings) { s.IdleTimeout = time.Millisecond - 1 }, "IdleTimeout"},
		{"absolute timeout that would be none", func(s *session.Settings) { s.AbsoluteTimeout = time.Microsecond }, "AbsoluteTimeout"},
		{"absolute timeout of a millisecond", func(s *session.Settings) { s.AbsoluteTimeout = time.Millisecond }, ""},
		{"endless absolute timeout", func(s *session.Settings) { s.AbsoluteTimeout = 1<<63 - 1 }, "AbsoluteTimeout"},

		{"idle timeout at the duration", func(s *session.Settings) { s.IdleTimeout = s.Duration }, "IdleTimeout is 168h0m0s and has no effect, since Duration"},
		{"idle timeout above the duration", func(s *session.Settings) { s.IdleTimeout, s.Duration = 2*hour, hour }, "Session.SetIdleTimeout"},
		{"idle timeout below the duration", func(s *session.Settings) { s.IdleTimeout = s.Duration - ms }, ""},
		{"idle timeout at the absolute one", func(s *session.Settings) { s.IdleTimeout, s.AbsoluteTimeout = hour, hour }, "IdleTimeout is 1h0m0s and has no effect, since AbsoluteTimeout"},
		{"idle timeout below the absolute one", func(s *session.Settings) { s.IdleTimeout, s.AbsoluteTimeout = hour-ms, hour }, ""},
		{"absolute timeout below the duration", func(s *session.Settings) { s.AbsoluteTimeout = hour }, ""},
		{"looks that are never noted, duration", func(s *session.Settings) { s.SeenEvery = s.Duration }, "SeenEvery is 168h0m0s"},
		{"looks that are never noted, idle", func(s *session.Settings) { s.SeenEvery, s.IdleTimeout = hour, hour }, "since IdleTimeout"},
		{"looks that are never noted, absolute", func(s *session.Settings) { s.SeenEvery, s.AbsoluteTimeout = hour, hour }, "since AbsoluteTimeout"},
		{"looks that are noted", func(s *session.Settings) { s.SeenEvery, s.IdleTimeout = time.Minute, hour }, ""},
		{"ids that are never rotated", func(s *session.Settings) { s.RotateEvery, s.AbsoluteTimeout = hour, hour }, "RotateEvery is 1h0m0s"},
		{"ids that are rotated less often than the duration", func(s *session.Settings) { s.RotateEvery = 30 * day }, ""},
		{"rolling", func(s *session.Settings) { s.Rolling = true }, ""},
		{"rolling to an end that does not move", func(s *session.Settings) { s.Rolling, s.AbsoluteTimeout = true, s.Duration }, "Rolling has no effect"},
		{"rolling to a later end", func(s *session.Settings) { s.Rolling, s.AbsoluteTimeout = true, s.Duration+ms }, ""},
		{"rolling that only visitors have", func(s *session.Settings) {
			s.Rolling, s.AbsoluteTimeout, s.AnonymousDuration = true, 12*hour, hour
		}, ""},
		{"anonymous duration", func(s *session.Settings) { s.AnonymousDuration = hour }, ""},
		{"anonymous duration at the duration", func(s *session.Settings) { s.AnonymousDuration = s.Duration }, "AnonymousDuration is 168h0m0s"},
		{"anonymous duration above the absolute timeout", func(s *session.Settings) { s.AnonymousDuration, s.AbsoluteTimeout = 2*hour, hour }, "since AbsoluteTimeout"},
		{"anonymous duration that would be none", func(s *session.Settings) { s.AnonymousDuration = time.Microsecond }, "AnonymousDuration is 1µs"},
		{"negative anonymous duration", func(s *session.Settings) { s.AnonymousDuration = -hour }, "AnonymousDuration"},

		{"no store timeout", func(s *session.Settings) { s.StoreTimeout = 0 }, ""},
		{"negative store timeout", func(s *session.Settings) { s.StoreTimeout = -hour }, "StoreTimeout"},
		{"store timeout that would be none", func(s *session.Settings) { s.StoreTimeout = time.Microsecond }, "StoreTimeout"},

		{"no room", func(s *session.Settings) { s.MaxSize = 0 }, "MaxSize"},
		{"more room than a store has", func(s *session.Settings) { s.MaxSize = 16<<20 + 1 }, "MaxSize"},
		{"no sessions of a user", func(s *session.Settings) { s.MaxUserSessions = 0 }, "MaxUserSessions is 0, and must be from 1 to 10000"},
		{"too many sessions of a user", func(s *session.Settings) { s.MaxUserSessions = 10_001 }, "MaxUserSessions"},
		{"one session of a user", func(s *session.Settings) { s.MaxUserSessions = 1 }, ""},
		{"all the room", func(s *session.Settings) { s.MaxSize = 16 << 20 }, ""},

		{"SameSite None on plain HTTP", func(s *session.Settings) { s.CookieSameSite = http.SameSiteNoneMode }, "needs CookieSecure"},
		{"SameSite None", func(s *session.Settings) { s.CookieSameSite, s.CookieSecure = http.SameSiteNoneMode, true }, ""},
		{"no SameSite", func(s *session.Settings) { s.CookieSameSite = 0 }, "CookieSameSite"},
		{"SameSite without a value", func(s *session.Settings) { s.CookieSameSite = http.SameSiteDefaultMode }, "CookieSameSite"},
		{"partitioned on plain HTTP", func(s *session.Settings) { s.CookiePartitioned = true }, "CookiePartitioned needs CookieSecure"},
		{"partitioned", func(s *session.Settings) { s.CookiePartitioned, s.CookieSecure = true, true }, ""},

		{"__Host- on plain HTTP", func(s *session.Settings) { s.CookieName = "__Host-id" }, "__Host- needs CookieSecure"},
		{"__Host-", func(s *session.Settings) { s.CookieName, s.CookieSecure = "__Host-id", true }, ""},
		{"__Host- with a path", func(s *session.Settings) {
			s.CookieName, s.CookieSecure, s.CookiePath = "__Host-id", true, "/app"
		}, "needs CookiePath /"},
		{"__Host- with a domain", func(s *session.Settings) {
			s.CookieName, s.CookieSecure, s.CookieDomain = "__Host-id", true, "example.org"
		}, "no CookieDomain"},
		{"__host- in small letters", func(s *session.Settings) { s.CookieName = "__hOsT-id" }, "__Host- needs CookieSecure"},
		{"__Secure- on plain HTTP", func(s *session.Settings) { s.CookieName = "__Secure-id" }, "__Secure- needs CookieSecure"},
		{"__Secure-", func(s *session.Settings) {
			s.CookieName, s.CookieSecure, s.CookieDomain, s.CookiePath = "__Secure-id", true, "example.org", "/app"
		}, ""},

		{"no path", func(s *session.Settings) { s.CookiePath = "" }, "CookiePath"},
		{"relative path", func(s *session.Settings) { s.CookiePath = "app" }, "CookiePath"},
		{"path with an attribute in it", func(s *session.Settings) { s.CookiePath = "/; Domain=evil.example" }, "Path"},
		{"domain with an attribute in it", func(s *session.Settings) { s.CookieDomain = "a.example; Path=/" }, "Domain"},
		{"domain with a port", func(s *session.Settings) { s.CookieDomain = "example.org:80" }, "Domain"},
		{"name with a space", func(s *session.Settings) { s.CookieName = "session id" }, "cookie"},
		{"name with a sign", func(s *session.Settings) { s.CookieName = "session=id" }, "cookie"},
		{"name with a line", func(s *session.Settings) { s.CookieName = "a\r\nSet-Cookie: b" }, "cookie"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := session.Defaults()
			c.change(&s)
			err := s.Check()
			_, errNew := session.New(store.NewMemory(), s)
			if c.says == "" {
				require.NoError(t, err)
				require.NoError(t, errNew)
				return
			}
			require.ErrorIs(t, err, session.ErrSettings)
			require.ErrorContains(t, err, c.says)
			require.ErrorIs(t, errNew, session.ErrSettings)
		})
	}
}

func TestUnknownEngine(t *testing.T) {
	s := session.Defaults()
	s.Engine = "recrods"
	_, err := session.New(store.NewMemory(), s)
	require.ErrorIs(t, err, session.ErrSettings)
	require.ErrorContains(t, err, `"recrods"`)
	require.ErrorContains(t, err, "records")
}

// TestSealedSessionOfFullSize: the seal adds to what is stored, and whatever
// MaxSize allows can be stored all the same or is ErrTooLarge.
func TestSealedSessionOfFullSize(t *testing.T) {
	a := newApp(t, store.NewMemory(), func(s *session.Settings) {
		s.MaxSize = 16 << 20
		s.Keyring = keyring(t, secretNew)
	})
	b := a.browser()
	b.set("user", "ada")
	b.do(func(s *session.Session) {
		require.NoError(t, s.Set("big", strings.Repeat("x", 16<<20-100)))
		require.ErrorIs(t, s.Save(), session.ErrTooLarge)
		require.NoError(t, s.Set("big", "x"))
	})
	require.Len(t, b.values(), 2)
}

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

// TestDefaults: they are those of Duck, the web framework whose session settings
// these are, except for CookieSecure, whose false is SecureNever.
func TestDefaults(t *testing.T) {
	s := session.Defaults()
	require.Nil(t, s.Records)
	require.Equal(t, 604800*time.Second, s.Lifetime)
	require.Zero(t, s.IdleTimeout)
	require.Zero(t, s.AbsoluteTimeout)
	require.Equal(t, 10*time.Second, s.StoreTimeout)
	require.False(t, s.ExpireAtBrowserClose)
	require.Equal(t, "session_id", s.CookieName)
	require.Equal(t, "/", s.CookiePath)
	require.Empty(t, s.CookieDomain)
	require.Equal(t, session.SecureAuto, s.CookieSecure)
	require.False(t, s.CookieScriptReadable)
	require.Equal(t, http.SameSiteLaxMode, s.CookieSameSite)
	require.False(t, s.CookiePartitioned)
	require.Equal(t, session.CBOR, s.Codec)
	require.Nil(t, s.Keyring)
	require.Equal(t, 1<<20, s.MaxSize)
	require.Equal(t, 100, s.MaxUserSessions)
	require.NoError(t, s.Check())
}

// TestCheck: each case changes the defaults. says is what the error must name.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*session.Settings)
		says   string // empty: it is valid
	}{
		{"codecs to read", func(s *session.Settings) { s.ReadCodecs = []session.Codec{session.JSON, tagged{}} }, ""},
		{"no codec to read", func(s *session.Settings) { s.ReadCodecs = []session.Codec{session.JSON, nil} }, "ReadCodecs is nil at 1"},
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
		{"a cookie name too long for a namespace", func(s *session.Settings) { s.CookieName = strings.Repeat("n", session.MaxNamespace+1) }, "since it is the namespace too; shorten it, or set Namespace"},
		{"a long cookie name beside a namespace", func(s *session.Settings) {
			s.CookieName, s.Namespace = strings.Repeat("n", session.MaxNamespace+1), "n"
		}, ""},

		{"lifetime of a second", func(s *session.Settings) { s.Lifetime = time.Second }, ""},
		{"lifetime of less", func(s *session.Settings) { s.Lifetime = time.Second - 1 }, "Lifetime is 999.999999ms: must be at least 1s"},
		{"lifetime of nothing", func(s *session.Settings) { s.Lifetime = session.Off }, "Lifetime is off: must be at least 1s"},
		{"negative lifetime", func(s *session.Settings) { s.Lifetime = -time.Hour }, "Lifetime"},
		{"lifetime of a century and more", func(s *session.Settings) { s.Lifetime = 101 * 365 * 24 * time.Hour }, "Lifetime"},
		{"negative idle timeout", func(s *session.Settings) { s.IdleTimeout = -2 }, "IdleTimeout is -2ns: must be 0 or at least 1ms"},
		{"idle timeout that would be none", func(s *session.Settings) { s.IdleTimeout = time.Millisecond - 1 }, "IdleTimeout"},
		{"absolute timeout that would be none", func(s *session.Settings) { s.AbsoluteTimeout = time.Microsecond }, "AbsoluteTimeout"},
		{"absolute timeout of a millisecond", func(s *session.Settings) { s.AbsoluteTimeout = time.Millisecond }, ""},
		{"endless absolute timeout", func(s *session.Settings) { s.AbsoluteTimeout = 1<<63 - 1 }, "AbsoluteTimeout"},

		{"idle timeout at the lifetime", func(s *session.Settings) { s.IdleTimeout = s.Lifetime }, "IdleTimeout is 168h0m0s: must be 0 or below Lifetime, which is 168h0m0s and ends sessions before"},
		{"idle timeout above the lifetime", func(s *session.Settings) { s.IdleTimeout, s.Lifetime = 2*hour, hour }, "Session.SetIdleTimeout"},
		{"idle timeout below the lifetime", func(s *session.Settings) { s.IdleTimeout = s.Lifetime - ms }, ""},
		{"idle timeout at the absolute one", func(s *session.Settings) { s.IdleTimeout, s.AbsoluteTimeout = hour, hour }, "IdleTimeout is 1h0m0s: must be 0 or below AbsoluteTimeout"},
		{"idle timeout below the absolute one", func(s *session.Settings) { s.IdleTimeout, s.AbsoluteTimeout = hour-ms, hour }, ""},
		{"absolute timeout below the lifetime", func(s *session.Settings) { s.AbsoluteTimeout = hour }, ""},
		{"looks that are never noted, lifetime", func(s *session.Settings) { s.LastSeenResolution = s.Lifetime }, "LastSeenResolution is 168h0m0s"},
		{"looks that are never noted, idle", func(s *session.Settings) { s.LastSeenResolution, s.IdleTimeout = hour, hour }, "below IdleTimeout"},
		{"looks that are never noted, absolute", func(s *session.Settings) { s.LastSeenResolution, s.AbsoluteTimeout = hour, hour }, "below AbsoluteTimeout"},
		{"looks that are noted", func(s *session.Settings) { s.LastSeenResolution, s.IdleTimeout = time.Minute, hour }, ""},
		{"ids that are never renewed", func(s *session.Settings) { s.RenewEvery, s.AbsoluteTimeout = hour, hour }, "RenewEvery is 1h0m0s"},
		{"ids that are renewed less often than the lifetime", func(s *session.Settings) { s.RenewEvery = 30 * day }, ""},
		{"rolling", func(s *session.Settings) { s.Rolling = true }, ""},
		{"rolling to an end that does not move", func(s *session.Settings) { s.Rolling, s.AbsoluteTimeout = true, s.Lifetime }, "Rolling is true and has no effect"},
		{"rolling to a later end", func(s *session.Settings) { s.Rolling, s.AbsoluteTimeout = true, s.Lifetime+ms }, ""},
		{"rolling that only visitors have", func(s *session.Settings) {
			s.Rolling, s.AbsoluteTimeout, s.AnonymousLifetime = true, 12*hour, hour
		}, ""},
		{"anonymous lifetime", func(s *session.Settings) { s.AnonymousLifetime = hour }, ""},
		{"anonymous lifetime at the lifetime", func(s *session.Settings) { s.AnonymousLifetime = s.Lifetime }, "AnonymousLifetime is 168h0m0s"},
		{"anonymous lifetime above the absolute timeout", func(s *session.Settings) { s.AnonymousLifetime, s.AbsoluteTimeout = 2*hour, hour }, "below AbsoluteTimeout"},
		{"anonymous lifetime that would be none", func(s *session.Settings) { s.AnonymousLifetime = time.Microsecond }, "AnonymousLifetime is 1µs"},
		{"negative anonymous lifetime", func(s *session.Settings) { s.AnonymousLifetime = -hour }, "AnonymousLifetime"},

		{"no store timeout", func(s *session.Settings) { s.StoreTimeout = session.Off }, ""},
		{"negative store timeout", func(s *session.Settings) { s.StoreTimeout = -hour }, "StoreTimeout"},
		{"store timeout that would be none", func(s *session.Settings) { s.StoreTimeout = time.Microsecond }, "StoreTimeout"},

		{"no room", func(s *session.Settings) { s.MaxSize = 1 }, "MaxSize is 1: must be 0 for the default"},
		{"more room than a store has", func(s *session.Settings) { s.MaxSize = 16<<20 + 1 }, "MaxSize"},
		{"no sessions of a user", func(s *session.Settings) { s.MaxUserSessions = -1 }, "MaxUserSessions is -1: must be 0 for the default, or from 1 to 10000"},
		{"too many sessions of a user", func(s *session.Settings) { s.MaxUserSessions = 10_001 }, "MaxUserSessions"},
		{"one session of a user", func(s *session.Settings) { s.MaxUserSessions = 1 }, ""},
		{"all the room", func(s *session.Settings) { s.MaxSize = 16 << 20 }, ""},

		{"SameSite None on plain HTTP", func(s *session.Settings) { s.CookieSameSite = http.SameSiteNoneMode }, "CookieSecure must be SecureAlways"},
		{"SameSite None", func(s *session.Settings) {
			s.CookieSameSite, s.CookieSecure = http.SameSiteNoneMode, session.SecureAlways
		}, ""},
		{"no SameSite", func(s *session.Settings) { s.CookieSameSite = -1 }, "CookieSameSite is -1: must be"},
		{"SameSite without a value", func(s *session.Settings) { s.CookieSameSite = http.SameSiteDefaultMode }, "CookieSameSite"},
		{"partitioned on plain HTTP", func(s *session.Settings) { s.CookiePartitioned = true }, "CookiePartitioned is true, and browsers refuse such a cookie without Secure: CookieSecure must be SecureAlways"},
		{"partitioned", func(s *session.Settings) { s.CookiePartitioned, s.CookieSecure = true, session.SecureAlways }, ""},

		{"__Host- on plain HTTP", func(s *session.Settings) { s.CookieName = "__Host-id" }, "CookieName begins with __Host-"},
		{"__Host-", func(s *session.Settings) { s.CookieName, s.CookieSecure = "__Host-id", session.SecureAlways }, ""},
		{"__Host- with a path", func(s *session.Settings) {
			s.CookieName, s.CookieSecure, s.CookiePath = "__Host-id", session.SecureAlways, "/app"
		}, "CookiePath is \"/app\": must be / where CookieName begins with __Host-"},
		{"__Host- with a domain", func(s *session.Settings) {
			s.CookieName, s.CookieSecure, s.CookieDomain = "__Host-id", session.SecureAlways, "example.org"
		}, "CookieDomain is \"example.org\": must be empty where CookieName begins with __Host-"},
		{"__host- in small letters", func(s *session.Settings) { s.CookieName = "__hOsT-id" }, "CookieName begins with __Host-"},
		{"__Secure- on plain HTTP", func(s *session.Settings) { s.CookieName = "__Secure-id" }, "CookieName begins with __Secure-"},
		{"__Secure-", func(s *session.Settings) {
			s.CookieName, s.CookieSecure, s.CookieDomain, s.CookiePath = "__Secure-id", session.SecureAlways, "example.org", "/app"
		}, ""},

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

// TestOff: a time that is Off is the same as none, whatever its default.
func TestOff(t *testing.T) {
	s := session.Settings{
		AnonymousLifetime: session.Off, IdleTimeout: session.Off, AbsoluteTimeout: session.Off, LastSeenResolution: session.Off,
		RenewEvery: session.Off, RenewGrace: session.Off, StoreTimeout: session.Off,
	}
	require.NoError(t, s.Check())
	for _, d := range s.Describe() {
		switch d.Field {
		case "RenewGrace", "StoreTimeout":
			require.Equal(t, "off", d.Value, d.Field)
			require.True(t, d.Changed, d.Field)
		case "AnonymousLifetime", "IdleTimeout", "AbsoluteTimeout", "LastSeenResolution", "RenewEvery":
			require.Equal(t, "off", d.Value, d.Field)
			require.False(t, d.Changed, d.Field)
		}
	}
}

// TestWithDefaults: it changes nothing that is set.
func TestWithDefaults(t *testing.T) {
	s := session.Defaults()
	s.Lifetime, s.CookieName, s.MaxSize, s.RenewGrace = hour, "sid", 1<<10, session.Off
	again := s.WithDefaults()
	s.Now, again.Now = nil, nil // functions cannot be compared
	require.Equal(t, s, again)
}

// TestSealedSessionOfFullSize: the seal adds to the stored size. Whatever
// MaxSize allows can still be stored or is ErrTooLarge.
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

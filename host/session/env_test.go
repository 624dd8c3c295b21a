package session_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
)

func TestFromEnv(t *testing.T) {
	for _, c := range []struct {
		name   string
		env    []string
		change func(*session.Settings) // how it changes the defaults
	}{
		{"nothing", nil, func(*session.Settings) {}},
		{"the records of this package", []string{"SESSION_ENGINE=records"}, func(*session.Settings) {}},
		{"what chooses the storage", []string{"SESSION_STORAGE=/srv/engine.wasm", "SESSION_DIR=x", "SESSION_DURABILITY=x", "SESSION_LOCK_WAIT=x"}, func(*session.Settings) {}},
		{"what chooses the storage, misspelt", []string{"SESSION_STORAG=x", "SESSION_DIRS=x", "SESSION_DURABILITI=x", "SESSION_LOCKWAIT=x"}, func(*session.Settings) {}},
		{"duration in seconds", []string{"SESSION_DURATION=3600"}, func(s *session.Settings) { s.Lifetime = time.Hour }},
		{"duration with units", []string{"SESSION_DURATION=1h30m"}, func(s *session.Settings) { s.Lifetime = 90 * time.Minute }},
		{"age is the lifetime", []string{"SESSION_COOKIE_AGE=60"}, func(s *session.Settings) { s.Lifetime = time.Minute }},
		{"both names, one time", []string{"SESSION_COOKIE_AGE=60", "SESSION_DURATION=1m"}, func(s *session.Settings) { s.Lifetime = time.Minute }},
		{"both names, one empty", []string{"SESSION_COOKIE_AGE=60", "SESSION_DURATION= "}, func(s *session.Settings) { s.Lifetime = time.Minute }},
		{"idle", []string{"SESSION_IDLE_TIMEOUT=900"}, func(s *session.Settings) { s.IdleTimeout = 15 * time.Minute }},
		{"sessions of a user", []string{"SESSION_MAX_USER_SESSIONS= 5 "}, func(s *session.Settings) { s.MaxUserSessions = 5 }},
		{"anonymous", []string{"SESSION_ANONYMOUS_DURATION=2h"}, func(s *session.Settings) { s.AnonymousLifetime = 2 * time.Hour }},
		{"rolling", []string{"SESSION_ROLLING=yes"}, func(s *session.Settings) { s.Rolling = true }},
		{"store timeout", []string{"SESSION_STORE_TIMEOUT=2"}, func(s *session.Settings) { s.StoreTimeout = 2 * time.Second }},
		{"no store timeout", []string{"SESSION_STORE_TIMEOUT=0"}, func(s *session.Settings) { s.StoreTimeout = session.Off }},
		{"absolute", []string{"SESSION_ABSOLUTE_TIMEOUT=12h"}, func(s *session.Settings) { s.AbsoluteTimeout = 12 * time.Hour }},
		{"off", []string{"SESSION_IDLE_TIMEOUT=0", "SESSION_LAST_SEEN_RESOLUTION=Off"}, func(*session.Settings) {}},
		{"no store timeout, in a word", []string{"SESSION_STORE_TIMEOUT=off"}, func(s *session.Settings) { s.StoreTimeout = session.Off }},
		{"no grace", []string{"SESSION_RENEW_GRACE=0s"}, func(s *session.Settings) { s.RenewGrace = session.Off }},
		{"browser close", []string{"SESSION_EXPIRE_AT_BROWSER_CLOSE=true"}, func(s *session.Settings) { s.ExpireAtBrowserClose = true }},
		{"name", []string{"SESSION_COOKIE_NAME=sid"}, func(s *session.Settings) { s.CookieName = "sid" }},
		{"namespace", []string{"SESSION_NAMESPACE=shop"}, func(s *session.Settings) { s.Namespace = "shop" }},
		{"path", []string{"SESSION_COOKIE_PATH=/app"}, func(s *session.Settings) { s.CookiePath = "/app" }},
		{"domain", []string{"SESSION_COOKIE_DOMAIN=example.org"}, func(s *session.Settings) { s.CookieDomain = "example.org" }},
		{"secure", []string{"SESSION_COOKIE_SECURE=Yes"}, func(s *session.Settings) { s.CookieSecure = session.SecureAlways }},
		{"not secure", []string{"SESSION_COOKIE_SECURE=False"}, func(s *session.Settings) { s.CookieSecure = session.SecureNever }},
		{"secure by the connection", []string{"SESSION_COOKIE_SECURE=AUTO"}, func(s *session.Settings) { s.CookieSecure = session.SecureAuto }},
		{"not for scripts", []string{"SESSION_COOKIE_HTTPONLY=yes"}, func(*session.Settings) {}},
		{"for scripts", []string{"SESSION_COOKIE_HTTPONLY=False"}, func(s *session.Settings) { s.CookieScriptReadable = true }},
		{"for scripts, by number", []string{"SESSION_COOKIE_HTTPONLY=0"}, func(s *session.Settings) { s.CookieScriptReadable = true }},
		{"SameSite", []string{"SESSION_COOKIE_SAMESITE=strict"}, func(s *session.Settings) { s.CookieSameSite = http.SameSiteStrictMode }},
		{"SameSite None", []string{"SESSION_COOKIE_SAMESITE=None", "SESSION_COOKIE_SECURE=1"}, func(s *session.Settings) {
			s.CookieSameSite, s.CookieSecure = http.SameSiteNoneMode, session.SecureAlways
		}},
		{"partitioned", []string{"SESSION_COOKIE_PARTITIONED=on", "SESSION_COOKIE_SECURE=on"}, func(s *session.Settings) {
			s.CookiePartitioned, s.CookieSecure = true, session.SecureAlways
		}},
		{"a day", []string{"WADDLE_SECRET=" + secretNew, "SESSION_READ_UNSEALED_UNTIL=2026-12-24"}, func(s *session.Settings) {
			s.Keyring, s.ReadUnsealedUntil = keyring(t, secretNew), time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC)
		}},
		{"a time", []string{"WADDLE_SECRET=" + secretNew, "SESSION_READ_UNSEALED_UNTIL=2026-12-24T18:00:00Z"}, func(s *session.Settings) {
			s.Keyring, s.ReadUnsealedUntil = keyring(t, secretNew), time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC)
		}},
		{"a codec", []string{"SESSION_CODEC=json"}, func(s *session.Settings) { s.Codec = session.JSON }},
		{"the codec of the default", []string{"SESSION_CODEC=CBOR"}, func(*session.Settings) {}},
		{"a codec, and one that is read", []string{"SESSION_CODEC=JSON", "SESSION_READ_CODECS=cbor"}, func(s *session.Settings) {
			s.Codec, s.ReadCodecs = session.JSON, []session.Codec{session.CBOR}
		}},
		{"a codec that is read", []string{"SESSION_READ_CODECS= Json "}, func(s *session.Settings) { s.ReadCodecs = []session.Codec{session.JSON} }},
		{"written unsealed", []string{"WADDLE_SECRET=" + secretNew, "SESSION_WRITE_UNSEALED=yes"}, func(s *session.Settings) {
			s.Keyring, s.WriteUnsealed = keyring(t, secretNew), true
		}},
		{"set to nothing", []string{"SESSION_COOKIE_NAME=", "SESSION_COOKIE_SECURE="}, func(*session.Settings) {}},
		{"spaces around", []string{"SESSION_COOKIE_NAME= sid "}, func(s *session.Settings) { s.CookieName = "sid" }},
		{"foreign names", []string{
			"SESSION_MANAGER=local/host:@/tmp/.ICE-unix/1", "SESSION_ID=4", "SESSIONNAME=Console", "SESSION_TYPE=x11",
			"XDG_SESSION_ID=2", "XDG_SESSION_TYPE=wayland", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run", "DESKTOP_SESSION=x",
			"SESSION_TOKEN=x", "SESSION_NAME=x", "SESSION_KEY=x", "SESSION_USER=x", "SESSION=x",
			"SESSION_DRIVER=file", "SESSION_LIFETIME=120", "SESSION_SVR=x", "SESSION_PID=1",
		}, func(*session.Settings) {}},
		{"entries that are none", []string{"SESSION_COOKIE_NAM", "=C:=C:\\", "", "="}, func(*session.Settings) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := session.Defaults()
			c.change(&want)
			got, err := session.FromEnv(c.env)
			require.NoError(t, err)
			want.Now, got.Now = nil, nil // functions cannot be compared
			require.Equal(t, want, got)
		})
	}
}

func TestFromEnvRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		says []string
	}{
		{"duration that is none", []string{"SESSION_DURATION=soon"}, []string{"SESSION_DURATION", `"soon"`, "seconds"}},
		{"duration of a fraction", []string{"SESSION_DURATION=1.5"}, []string{"SESSION_DURATION", `"1.5"`}},
		{"duration out of range", []string{"SESSION_COOKIE_AGE=9223372036854775807"}, []string{"SESSION_COOKIE_AGE"}},
		{"negative duration", []string{"SESSION_DURATION=-1"}, []string{"SESSION_DURATION"}},
		{"both names, two times", []string{"SESSION_COOKIE_AGE=60", "SESSION_DURATION=61"}, []string{"SESSION_COOKIE_AGE", "SESSION_DURATION", "one setting"}},
		{"records that are not there", []string{"SESSION_ENGINE=mine"}, []string{`SESSION_ENGINE is "mine": must be one of those that this program has: records`}},
		{"idle", []string{"SESSION_IDLE_TIMEOUT=x"}, []string{"SESSION_IDLE_TIMEOUT"}},
		{"sessions of a user", []string{"SESSION_MAX_USER_SESSIONS=many"}, []string{"SESSION_MAX_USER_SESSIONS", `"many"`, "a whole number"}},
		{"no sessions of a user", []string{"SESSION_MAX_USER_SESSIONS=0"}, []string{`SESSION_MAX_USER_SESSIONS is "0": must be a whole number from 1 to 10000`}},
		{"absolute", []string{"SESSION_ABSOLUTE_TIMEOUT=x"}, []string{"SESSION_ABSOLUTE_TIMEOUT"}},
		{"anonymous", []string{"SESSION_ANONYMOUS_DURATION=x"}, []string{"SESSION_ANONYMOUS_DURATION", "seconds"}},
		{"rolling", []string{"SESSION_ROLLING=daily"}, []string{"SESSION_ROLLING", "true or false"}},
		{"idle that has no effect", []string{"SESSION_IDLE_TIMEOUT=720h"}, []string{"SESSION_IDLE_TIMEOUT is 720h0m0s: must be 0 or below SESSION_DURATION, which is 168h0m0s"}},
		{"boolean", []string{"SESSION_COOKIE_SECURE=ture"}, []string{"SESSION_COOKIE_SECURE", `"ture"`, "true or false"}},
		{"boolean by a number", []string{"SESSION_EXPIRE_AT_BROWSER_CLOSE=2"}, []string{"SESSION_EXPIRE_AT_BROWSER_CLOSE"}},
		{"boolean, http only", []string{"SESSION_COOKIE_HTTPONLY=n"}, []string{"SESSION_COOKIE_HTTPONLY"}},
		{"boolean, partitioned", []string{"SESSION_COOKIE_PARTITIONED=y"}, []string{"SESSION_COOKIE_PARTITIONED"}},
		{"SameSite", []string{"SESSION_COOKIE_SAMESITE=loose"}, []string{"SESSION_COOKIE_SAMESITE", `"loose"`, "one of Lax, Strict and None"}},
		{"settings that do not go together", []string{"SESSION_COOKIE_SAMESITE=None"}, []string{"SESSION_COOKIE_SAMESITE is None, and browsers refuse such a cookie without Secure: SESSION_COOKIE_SECURE must be true"}},
		{"name", []string{"SESSION_COOKIE_NAME=a b"}, []string{"SESSION_COOKIE_NAME"}},
		{"namespace", []string{"SESSION_NAMESPACE=" + strings.Repeat("n", 129)}, []string{"SESSION_NAMESPACE is", "129 bytes"}},
		{"name that is too long as a namespace", []string{"SESSION_COOKIE_NAME=" + strings.Repeat("n", 129)}, []string{"SESSION_COOKIE_NAME has 129 bytes", "SESSION_NAMESPACE"}},
		{"path", []string{"SESSION_COOKIE_PATH=app"}, []string{"SESSION_COOKIE_PATH"}},
		{"domain", []string{"SESSION_COOKIE_DOMAIN=a b"}, []string{"SESSION_COOKIE_DOMAIN"}},
		{"by the name that was set", []string{"SESSION_COOKIE_AGE=-1"}, []string{`SESSION_COOKIE_AGE is "-1": must be seconds`, "not negative"}},
		{"partitioned and not secure", []string{"SESSION_COOKIE_PARTITIONED=1"}, []string{"SESSION_COOKIE_PARTITIONED is true", "SESSION_COOKIE_SECURE must be true"}},
		{"grace above the period", []string{"SESSION_RENEW_EVERY=1s", "SESSION_RENEW_GRACE=2s"}, []string{"SESSION_RENEW_GRACE is 2s: must be at most SESSION_RENEW_EVERY, 1s"}},
		{"prefix that needs Secure", []string{"SESSION_COOKIE_NAME=__Secure-a"}, []string{"SESSION_COOKIE_NAME begins with __Secure-", "SESSION_COOKIE_SECURE must be true"}},
		{"prefix that needs no domain", []string{"SESSION_COOKIE_NAME=__Host-a", "SESSION_COOKIE_SECURE=1", "SESSION_COOKIE_DOMAIN=example.org"}, []string{`SESSION_COOKIE_DOMAIN is "example.org": must be empty where SESSION_COOKIE_NAME`}},
		{"token header", []string{"SESSION_TOKEN_HEADER=a b"}, []string{"SESSION_TOKEN_HEADER"}},
		{"a day that is none", []string{"WADDLE_SECRET=" + secretNew, "SESSION_READ_UNSEALED_UNTIL=Christmas"}, []string{"SESSION_READ_UNSEALED_UNTIL", "2026-12-24"}},
		{"read unsealed without a secret", []string{"SESSION_READ_UNSEALED_UNTIL=2026-12-24"}, []string{"SESSION_READ_UNSEALED_UNTIL is set and WADDLE_SECRET is not"}},
		{"written unsealed without a secret", []string{"SESSION_WRITE_UNSEALED=1"}, []string{"SESSION_WRITE_UNSEALED is set and WADDLE_SECRET is not"}},
		{"no codec", []string{"SESSION_CODEC=xml"}, []string{`SESSION_CODEC is "xml": must be cbor or json`}},
		{"two codecs", []string{"SESSION_CODEC=cbor,json"}, []string{`SESSION_CODEC is "cbor,json": must be cbor or json`}},
		{"no codec to read", []string{"SESSION_CODEC=json", "SESSION_READ_CODECS=cbor,"}, []string{`SESSION_READ_CODECS is "cbor,": must be cbor or json, or both`}},
		{"a codec to read that is read anyway", []string{"SESSION_CODEC=json", "SESSION_READ_CODECS=cbor,json"}, []string{"SESSION_READ_CODECS has a second codec", "that of SESSION_CODEC"}},
		{"idle below nothing", []string{"SESSION_IDLE_TIMEOUT=-1"}, []string{`SESSION_IDLE_TIMEOUT is "-1"`}},

		{"a nanosecond less than nothing", []string{"SESSION_STORE_TIMEOUT=-1ns"}, []string{`SESSION_STORE_TIMEOUT is "-1ns"`}},
		{"no duration", []string{"SESSION_DURATION=0"}, []string{"SESSION_DURATION is off: must be at least 1s"}},
		{"proxies that nobody asks", []string{"SESSION_COOKIE_SECURE=true", "SESSION_TRUSTED_PROXIES=10.0.0.1"}, []string{"SESSION_TRUSTED_PROXIES is set", "SESSION_COOKIE_SECURE must be auto"}},

		{"one letter short", []string{"SESSION_NAMESPAC=x"}, []string{"SESSION_NAMESPAC,", "SESSION_NAMESPACE meant"}},
		{"letters swapped", []string{"SESSION_COOKIE_SECRUE=1"}, []string{"SESSION_COOKIE_SECRUE", "SESSION_COOKIE_SECURE meant"}},
		{"plural", []string{"SESSION_TRUSTED_PROXIESS=x"}, []string{"SESSION_TRUSTED_PROXIES meant"}},
		{"small letters", []string{"session_duration=60"}, []string{"session_duration", "SESSION_DURATION meant"}},
		{"prefix misspelt", []string{"SESION_DURATION=60"}, []string{"SESSION_DURATION meant"}},
		{"no setting of the cookie", []string{"SESSION_COOKIE_MAX_BYTES=60"}, []string{"SESSION_COOKIE_MAX_BYTES"}},
		{"misspelt and set to nothing", []string{"SESSION_COOKIE_SECUR="}, []string{"SESSION_COOKIE_SECURE meant"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := session.FromEnv(c.env)
			require.ErrorIs(t, err, session.ErrSettings)
			for _, says := range c.says {
				require.ErrorContains(t, err, says)
			}
			require.Equal(t, session.Settings{}, got)
			for _, field := range reflect.VisibleFields(reflect.TypeFor[session.Settings]()) {
				require.NotRegexp(t, `\b`+field.Name+`\b`, err.Error(), "the variable is named, and not the field")
			}
		})
	}
}

// FuzzFromEnv: for any environment, the settings are valid or there is an
// error.
func FuzzFromEnv(f *testing.F) {
	f.Add("SESSION_DURATION", "60")
	f.Add("SESSION_COOKIE_NAME", "__Host-x")
	f.Add("SESSION_COOKIE_PATH", "/\x00")
	f.Add("SESSION_ID", "x")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, name, value string) {
		s, err := session.FromEnv([]string{name + "=" + value})
		if err != nil {
			require.ErrorIs(t, err, session.ErrSettings)
			return
		}
		require.NoError(t, s.Check())
	})
}

package session_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
)

// TestDescribeIsComplete: a change to any field shows. A field of a new type
// needs a sample here.
func TestDescribeIsComplete(t *testing.T) {
	usual := session.Defaults().Describe()
	typ := reflect.TypeFor[session.Settings]()
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		t.Run(name, func(t *testing.T) {
			s := session.Defaults()
			f := reflect.ValueOf(&s).Elem().Field(i)
			f.Set(otherThan(t, f))

			field := name
			if name == "TrustUnixSockets" {
				field = "TrustedProxies"
			}
			at := slices.IndexFunc(usual, func(s session.Setting) bool { return s.Field == field })
			require.GreaterOrEqual(t, at, 0, "it is not described")
			require.False(t, usual[at].Changed)
			now := s.Describe()
			require.NotEqual(t, usual[at].Value, now[at].Value)
			require.True(t, now[at].Changed)
			for j := range now {
				if j != at {
					require.Equal(t, usual[j], now[j], "nothing else changes")
				}
			}
		})
	}
}

// otherThan returns a value that differs from the field's.
func otherThan(t *testing.T, f reflect.Value) reflect.Value {
	t.Helper()
	switch f.Interface().(type) {
	case http.SameSite:
		return reflect.ValueOf(http.SameSiteStrictMode)
	case []netip.Prefix:
		return reflect.ValueOf([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	case session.Codec:
		return reflect.ValueOf(session.JSON)
	case *session.Keyring:
		return reflect.ValueOf(keyring(t, secretNew))
	case io.Reader:
		return reflect.ValueOf(io.Reader(new(bytes.Buffer)))
	}
	v := reflect.New(f.Type()).Elem()
	switch {
	case f.Kind() == reflect.String:
		v.SetString("other")
	case f.Kind() == reflect.Bool:
		v.SetBool(!f.Bool())
	case f.CanInt():
		v.SetInt(f.Int() + 3)
	case f.CanUint():
		v.SetUint(f.Uint() + 3)
	case f.Kind() == reflect.Func:
		v.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) []reflect.Value { panic("not called") }))
	case f.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(f.Type(), 2, 2))
	case f.Kind() == reflect.Pointer:
		v.Set(reflect.New(f.Type().Elem()))
	case f.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
	default:
		t.Fatalf("no sample of the type %s", f.Type())
	}
	return v
}

// TestDescribeIsWhatTheEnvironmentTakes: an environment made from the
// description gives the settings that it describes.
func TestDescribeIsWhatTheEnvironmentTakes(t *testing.T) {
	for _, env := range [][]string{
		nil,
		{"SESSION_COOKIE_SECURE=auto", "SESSION_TRUSTED_PROXIES=10.0.0.0/8,::1", "SESSION_TOKEN_HEADER=X-Session"},
		{"SESSION_COOKIE_SECURE=auto", "SESSION_TRUSTED_PROXIES=10.0.0.0/8,unix", "SESSION_TOKEN_HEADER=Authorization"},
		{"SESSION_COOKIE_SECURE=auto", "SESSION_TRUSTED_PROXIES=unix"},
		{"SESSION_DURATION=90m", "SESSION_IDLE_TIMEOUT=61s", "SESSION_RENEW_EVERY=1h30m", "SESSION_RENEW_GRACE=1500ms", "SESSION_LAST_SEEN_RESOLUTION=30s"},
		{"SESSION_COOKIE_SAMESITE=None", "SESSION_COOKIE_SECURE=yes", "SESSION_COOKIE_PARTITIONED=yes", "SESSION_COOKIE_HTTPONLY=no"},
		{"SESSION_STORE_TIMEOUT=0", "SESSION_RENEW_GRACE=off", "SESSION_IDLE_TIMEOUT=0", "SESSION_COOKIE_SECURE=false"},
		{"SESSION_CODEC=json", "SESSION_READ_CODECS=cbor"},
		{"SESSION_CODEC=cbor", "SESSION_READ_CODECS=json"},
		{"SESSION_NAMESPACE=a b", "SESSION_COOKIE_PATH=/app", "SESSION_COOKIE_DOMAIN=example.org", "SESSION_ENGINE=records"},
	} {
		want, err := session.FromEnv(env)
		require.NoError(t, err)
		var again []string
		for _, s := range want.Describe() {
			if s.Variable != "" && s.Value != "none" {
				again = append(again, s.Variable+"="+s.Value)
			}
		}
		got, err := session.FromEnv(again)
		require.NoError(t, err, "%q", again)
		require.Equal(t, want.Describe(), got.Describe())
		want.Now, got.Now = nil, nil // functions cannot be compared
		require.Equal(t, want, got, "%q", again)
	}
}

func TestDescribe(t *testing.T) {
	s := session.Defaults()
	s.CookieSecure = session.SecureNever
	s.Keyring = keyring(t, secretNew, secretOld)
	s.OnEvent = func(context.Context, session.Event) {}
	got := make(map[string]session.Setting)
	for _, d := range s.Describe() {
		got[d.Field] = d
	}
	require.Equal(t, session.Setting{Field: "Lifetime", Variable: "SESSION_DURATION", Value: "168h"}, got["Lifetime"])
	require.Equal(t, session.Setting{Field: "CookieSecure", Variable: "SESSION_COOKIE_SECURE", Value: "false", Changed: true}, got["CookieSecure"])
	require.Equal(t, session.Setting{Field: "CookieScriptReadable", Variable: "SESSION_COOKIE_HTTPONLY", Value: "true"}, got["CookieScriptReadable"])
	require.Equal(t, session.Setting{Field: "Keyring", Variable: "WADDLE_SECRET", Value: "2 keys", Changed: true}, got["Keyring"])
	require.Equal(t, session.Setting{Field: "MaxSize", Value: "1048576"}, got["MaxSize"])
	require.Equal(t, "CBOR", got["Codec"].Value)
	require.Equal(t, "default", got["Now"].Value)
	require.Equal(t, "none", got["OnError"].Value)
	require.Equal(t, "set by the program", got["OnEvent"].Value)
	require.NotContains(t, fmt.Sprint(s.Describe()), secretNew)
	require.Equal(t, session.Setting{Field: "ReadCodecs", Variable: "SESSION_READ_CODECS", Value: "none"}, got["ReadCodecs"])

	// No variable names an application's own codec.
	s.Codec, s.ReadCodecs = tagged{}, []session.Codec{session.JSON, tagged{}}
	for _, d := range s.Describe() {
		if d.Field == "Codec" || d.Field == "ReadCodecs" {
			require.Equal(t, "set by the program", d.Value, d.Field)
		}
	}
}

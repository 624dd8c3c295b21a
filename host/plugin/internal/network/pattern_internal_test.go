package network

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPatterns(t *testing.T) {
	for _, tc := range []struct {
		pattern  string
		has, not []string
	}{
		{
			"tcp://db.example.com:5432",
			[]string{"tcp://db.example.com:5432", "tls://db.example.com:5432", "tcp://DB.Example.COM:5432"},
			[]string{
				"tcp://db.example.com:5433", "tcp://example.com:5432", "tcp://a.db.example.com:5432", "tcp://xdb.example.com:5432",
				"tcp://db.example.com.evil.org:5432", "tcp://127.0.0.1:5432", "unix:///db.example.com",
			},
		},
		{
			"tls://*.cache.example.com:6379-6390",
			[]string{"tls://a.cache.example.com:6379", "tls://b-2.cache.example.com:6390", "tls://A.CACHE.example.com:6380"},
			[]string{
				"tcp://a.cache.example.com:6379", "tls://cache.example.com:6379", "tls://a.b.cache.example.com:6379", "tls://acache.example.com:6379",
				"tls://a.cache.example.com:6378", "tls://a.cache.example.com:6391", "tls://a.cache.example.com.evil.org:6379",
			},
		},
		{
			"tcp://10.1.0.0/16:6379",
			[]string{"tcp://10.1.0.0:6379", "tcp://10.1.255.255:6379", "tcp://[::ffff:10.1.2.3]:6379", "tls://10.1.2.3:6379"},
			[]string{"tcp://10.2.0.0:6379", "tcp://10.1.2.3:6380", "tcp://a.example.com:6379", "tcp://[::10.1.2.3]:6379", "tcp://[2002:a01:203::]:6379"},
		},
		{
			"tcp://[fd00::1]:6379",
			[]string{"tcp://[fd00::1]:6379", "tcp://[FD00:0:0::1]:6379"},
			[]string{"tcp://[fd00::2]:6379", "tcp://[fd00::1]:6378"},
		},
		{"tcp://[fd00::/8]:1-65535", []string{"tcp://[fdff::1]:1", "tcp://[fd00::]:65535"}, []string{"tcp://[fc00::1]:1"}},
		{"tcp://127.0.0.1:6379", []string{"tcp://127.0.0.1:6379"}, []string{"tcp://127.0.0.2:6379", "tcp://localhost:6379"}},
		{"tcp://0.0.0.0/0:443", []string{"tcp://8.8.8.8:443"}, []string{"tcp://[2600::1]:443", "tcp://example.com:443"}},
		{"tcp://xn--bcher-kva.example:443", []string{"tcp://XN--BCHER-KVA.example:443"}, []string{"tcp://bcher-kva.example:443"}},
		{"tcp://my_redis:6379", []string{"tcp://my_redis:6379"}, []string{"tcp://my-redis:6379"}},
		{
			"unix:///run/redis.sock",
			[]string{"unix:///run/redis.sock"},
			[]string{"unix:///run/redis.soc", "unix:///run/Redis.sock", "unix:///run/redis.sock.old", "tcp://run:1"},
		},
	} {
		p, err := parsePattern(tc.pattern)
		require.NoError(t, err, tc.pattern)
		for want, list := range map[bool][]string{true: tc.has, false: tc.not} {
			for _, text := range list {
				target, err := parseTarget(text)
				require.NoError(t, err, text)
				require.Equal(t, want, p.matches(&target), "%s: %s", tc.pattern, text)
			}
		}
	}
}

// A pattern that is wrong is refused with what is wrong.
func TestWrongPatterns(t *testing.T) {
	for text, why := range map[string]string{
		"":                                    "must begin with tcp://, tls:// or unix://",
		"db.example.com:5432":                 "must begin with tcp://",
		"TCP://db:5432":                       "must begin with tcp://",
		"udp://db:53":                         "must begin with tcp://",
		"http://db:80":                        "must begin with tcp://",
		"tcp://db":                            "must end with a port",
		"tcp://[fd00::1]":                     "must end with a port",
		"tcp://db:":                           `"" is not a port`,
		"tcp://db:0":                          `"0" is not a port`,
		"tcp://db:65536":                      `"65536" is not a port`,
		"tcp://db:+5":                         `"+5" is not a port`,
		"tcp://db:05":                         `"05" is not a port`,
		"tcp://db:*":                          `"*" is not a port`,
		"tcp://db:5432/name":                  `"5432/name" is not a port`,
		"tcp://db:9-5":                        "end before they begin",
		"tcp://db:5-":                         `"" is not a port`,
		"tcp://:5432":                         "there is no name",
		"tcp://*:5432":                        "a * stands for the whole first label",
		"tcp://*.*.example.com:5432":          "a * stands for the whole first label",
		"tcp://a*.example.com:5432":           "a * stands for the whole first label",
		"tcp://a.*.com:5432":                  "a * stands for the whole first label",
		"tcp://*.:5432":                       "there is no name",
		"tcp://*.10.0.0.1:5432":               "the last label is a number",
		"tcp://db.example.com.:5432":          "no dot at its end",
		"tcp://db..example.com:5432":          "a label of the name is empty",
		"tcp://.db:5432":                      "a label of the name is empty",
		"tcp://-db:5432":                      "begins or ends with a hyphen",
		"tcp://bücher.example:5432":           "begins with xn--",
		"tcp://user:secret@db:5432":           "no user and no password",
		"tcp://127.1:6379":                    "the last label is a number",
		"tcp://0x7f.1:6379":                   "the last label is a number",
		"tcp://0x7f000001:6379":               "the last label is a number",
		"tcp://2130706433:6379":               "the last label is a number",
		"tcp://0177.0.0.1:6379":               "the last label is a number",
		"tcp://127.0.0.1.:6379":               "no dot at its end",
		"tcp://[127.0.0.1]:6379":              "an IPv4 address does not",
		"tcp://fd00::1:6379":                  "stands in brackets",
		"tcp://[fd00::1%eth0]:6379":           "never reached",
		"tcp://[fd00::]/8:6379":               "stands in brackets with nothing beside it",
		"tcp://[fd00::1/8]:6379":              "the range is fd00::/8",
		"tcp://10.1.2.3/16:6379":              "the range is 10.1.0.0/16",
		"tcp://10.1.0.0/33:6379":              "is not a range",
		"tcp://10.1/16:6379":                  "is not a range",
		"tcp://[::ffff:10.0.0.1]:6379":        "it is written as IPv4, 10.0.0.1",
		"tcp://[::ffff:10.0.0.0/104]:6379":    "a range of IPv4 addresses is written as such",
		"unix://run/redis.sock":               "an absolute path",
		"unix:///run/../etc/redis.sock":       "shortest form, /etc/redis.sock",
		"unix:///":                            "shortest form",
		"unix:///run/redis.sock/":             "shortest form, /run/redis.sock",
		"unix://@abstract":                    "an absolute path",
		"unix:///" + strings.Repeat("a", 200): "a socket has room for",
		"unix:///run/a\x00b":                  "no NUL",
		"tcp://a\x00b:1":                      "is not in any name",
		"tcp://" + strings.Repeat("a", 64) + ".example:1":      "64 bytes, and 63 are allowed",
		"tcp://" + strings.Repeat("a.", 200) + "example.com:1": "bytes, and 253 are allowed",
	} {
		_, err := parsePattern(text)
		require.ErrorIs(t, err, ErrPattern, text)
		require.ErrorContains(t, err, why, text)
		require.NotContains(t, err.Error(), "secret")
	}
}

// hostile are spellings that some resolver takes for an address, or for another name.
var hostile = []string{
	"tcp://127.1:80", "tcp://0x7f.1:80", "tcp://0x7f000001:80", "tcp://0X7F.0.0.1:80", "tcp://2130706433:80", "tcp://0177.0.0.1:80", "tcp://127.0.0.01:80",
	"tcp://127.0.0.1.:80", "tcp://localhost.:80", "tcp://a.example.com.:80", "tcp://[::1%lo]:80", "tcp://[fe80::1%25eth0]:80", "tcp://::1:80",
	"tcp://[::1:80", "tcp://::1]:80", "tcp://[[::1]]:80", "tcp://[127.0.0.1]:80", "tcp://[localhost]:80", "tcp://a\x00.example.com:80", "tcp://a.example.com\x00:80",
	"tcp://a.example.com:80\x00", "tcp://user@a.example.com:80", "tcp://a.example.com@127.0.0.1:80", "tcp://a.example.com:80@127.0.0.1:80",
	"tcp://a.example.com#@127.0.0.1:80", "tcp://a.example.com/:80", "tcp://a.example.com\\@b:80", "tcp://a%2eexample.com:80", "tcp://a.example.com :80",
	"tcp://\ta.example.com:80", "tcp://a.example.com:80\n", "tcp://a。example。com:80", "tcp://ａ.example.com:80", "tcp://\u212a.example.com:80",
	"tcp://ⓛocalhost:80", "tcp://①②⑦.⓪.⓪.①:80", "tcp://*.example.com:80", "tcp://a.example.com:80-90", "tcp://10.0.0.0/8:80", "tcp://a.example.com:http", "tcp://a.example.com:０80",
	"tcp:///run/redis.sock", "tcp://:80", "tcp://a.example.com", "tcp:a.example.com:80", "//a.example.com:80", "a.example.com:80", "tcp4://a.example.com:80",
	"unix:///run/../run/redis.sock", "unix:///run//redis.sock", "unix:///run/./redis.sock", "unix:///run/redis.sock/", "unix:///run/redis.sock\x00x", "unix://@redis", "unix://\x00redis",
	"file:///run/redis.sock", strings.Repeat("tcp://", 100),
}

func TestHostileSpellings(t *testing.T) {
	for _, text := range hostile {
		_, err := parseTarget(text)
		require.Error(t, err, "%q", text)
	}
}

func TestQuoteLeavesPasswordsOut(t *testing.T) {
	for text, want := range map[string]string{
		"tcp://me:secret@db:1":     `"tcp://…@db:1"`,
		"me:secret@db:1":           `"…@db:1"`,
		"tcp://a@secret://x@db:1":  `"tcp://…@db:1"`,
		"x@tcp://secret":           `"…@tcp://secret"`, // nobody writes a password there
		"tcp://a\nb:1":             `"tcp://a\nb:1"`,
		strings.Repeat("a", 10000): `"` + strings.Repeat("a", maxAddress) + `"`,
	} {
		require.Equal(t, want, quote(text))
	}
}

// FuzzTarget looks for an address that is taken for a name, or that means two things.
func FuzzTarget(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	for _, text := range []string{
		"tcp://db.example.com:5432", "tls://A.b-c.example:1", "tcp://10.0.0.1:65535", "tcp://[fd00::1]:6379", "tcp://[::ffff:127.0.0.1]:6379", "unix:///run/redis.sock",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := parseTarget(text)
		if err != nil {
			require.NotPanics(t, func() { quote(text) })
			return
		}
		if target.scheme == schemeUnix {
			require.True(t, strings.HasPrefix(target.path, "/") && !strings.Contains(target.path, "\x00"))
			require.Equal(t, "unix://"+target.path, text)
			return
		}
		require.NotZero(t, target.port)
		if target.name == "" {
			require.True(t, target.addr.IsValid() && !target.addr.Is4In6() && target.addr.Zone() == "")
		} else {
			require.False(t, target.addr.IsValid())
			require.Nil(t, net.ParseIP(target.name))
			require.Equal(t, strings.ToLower(target.name), target.name)
			require.Empty(t, strings.Trim(target.name, "abcdefghijklmnopqrstuvwxyz0123456789-_."))
			last := target.name[strings.LastIndexByte(target.name, '.')+1:]
			require.NotEmpty(t, strings.Trim(last, "0123456789"), "something may take it for an address")
		}
		// What is dialled, verified and logged is what was checked.
		host := target.host()
		if target.addr.Is6() {
			host = "[" + host + "]"
		}
		scheme, _, _ := strings.Cut(text, "://")
		again, err := parseTarget(scheme + "://" + host + ":" + text[strings.LastIndexByte(text, ':')+1:])
		require.NoError(t, err)
		again.text = text
		require.Equal(t, target, again)
	})
}

// FuzzPattern looks for a pattern that grants what it does not say.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"tcp://db.example.com:5432", "tls://*.cache.example.com:6379-6390", "tcp://10.1.0.0/16:6379", "tcp://[fd00::/8]:1-65535", "unix:///run/redis.sock", "tcp://*.com:1"} {
		for _, a := range []string{"tcp://db.example.com:5432", "tls://a.cache.example.com:6380", "tcp://10.1.2.3:6379", "tcp://[fd01::1]:1", "unix:///run/redis.sock"} {
			f.Add(p, a)
		}
	}
	f.Fuzz(func(t *testing.T, text, address string) {
		p, err := parsePattern(text)
		if err != nil {
			require.ErrorIs(t, err, ErrPattern)
			return
		}
		target, err := parseTarget(address)
		if err != nil || !p.matches(&target) {
			return
		}
		_, rest, _ := strings.Cut(text, "://")
		rest = strings.ToLower(rest)
		switch {
		case target.scheme == schemeUnix:
			require.Equal(t, text, address)
		case target.name == "":
			host := strings.Trim(rest[:strings.LastIndexByte(rest, ':')], "[]")
			if prefix, err := netip.ParsePrefix(host); err == nil {
				require.True(t, prefix.Contains(target.addr))
			} else {
				require.Equal(t, netip.MustParseAddr(host), target.addr)
			}
		default:
			host := rest[:strings.LastIndexByte(rest, ':')]
			if tail, wild := strings.CutPrefix(host, "*"); wild {
				label, ok := strings.CutSuffix(target.name, tail)
				require.True(t, ok && label != "" && !strings.Contains(label, "."))
			} else {
				require.Equal(t, host, target.name)
			}
		}
	})
}

package session

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzForwarded: https in a header counts, whatever else it says. The header
// means plain HTTP only if it can be read and all of it says so.
func FuzzForwarded(f *testing.F) {
	f.Add("proto=https")
	f.Add(`for="a,b;proto=https"`)
	f.Add(`for="`)
	f.Add(`host="\\",proto=https`)
	f.Add("http, http")
	said := func(name, line string) schemeWord {
		return schemeSaid(&http.Request{Header: http.Header{name: {line}}})
	}
	f.Fuzz(func(t *testing.T, line string) {
		require.Equal(t, saidEncrypted, said("Forwarded", "for=192.0.2.1;proto=https, "+line))
		require.Equal(t, saidEncrypted, said("X-Forwarded-Proto", "https,"+line))
		require.Equal(t, saidEncrypted, said("X-Forwarded-Proto", line+",https"))
		require.GreaterOrEqual(t, said("Forwarded", line+", proto=http"), saidPlain, "something was said")
		if said("X-Forwarded-Proto", line) == saidPlain {
			for word := range strings.SplitSeq(line, ",") {
				require.Contains(t, []string{"", "http", "ws"}, strings.ToLower(strings.TrimSpace(word)))
			}
		}
	})
}

package tenant_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string]tenant.Bytes{
		`0`: 0, `1`: 1, `"1"`: 1, `"0B"`: 0, `"1000B"`: 1000, `"512KiB"`: 512 << 10, `"16MiB"`: 16 << 20, `"1GiB"`: 1 << 30, `"007KiB"`: 7 << 10,
		`9223372036854775807`: math.MaxInt64, `"8589934591GiB"`: 8589934591 << 30,
	} {
		var b tenant.Bytes
		require.NoError(t, json.Unmarshal([]byte(text), &b), text)
		require.Equal(t, want, b, text)
		written, err := json.Marshal(b)
		require.NoError(t, err)
		var again tenant.Bytes
		require.NoError(t, json.Unmarshal(written, &again), "%s", written)
		require.Equal(t, b, again)
		parsed, err := tenant.ParseBytes(b.String())
		require.NoError(t, err)
		require.Equal(t, b, parsed)
	}
	require.Equal(t, []string{"0B", "1B", "1KiB", "1025B", "16MiB", "1GiB", "1025MiB"}, []string{tenant.Bytes(0).String(), tenant.Bytes(1).String(),
		tenant.Bytes(1024).String(), tenant.Bytes(1025).String(), tenant.Bytes(16 << 20).String(), tenant.Bytes(1 << 30).String(), tenant.Bytes(1025 << 20).String()})
	for _, text := range []string{`""`, `"KiB"`, `"1KB"`, `"1kib"`, `"1 KiB"`, `" 1"`, `"-1"`, `-1`, `1.5`, `1e3`, `"0x10"`, `"1_000"`, `null`, `true`, `[]`,
		`9223372036854775808`, `"8589934592GiB"`, `"1KiBB"`} {
		b := tenant.Bytes(7)
		require.ErrorContains(t, json.Unmarshal([]byte(text), &b), `must be a size such as 65536, "512KiB"`, text)
		require.Equal(t, tenant.Bytes(7), b, text)
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"50ms"`: 50 * time.Millisecond, `"1.5s"`: 1500 * time.Millisecond, `"0s"`: 0, `"1h2m"`: time.Hour + 2*time.Minute, `".5s"`: 500 * time.Millisecond,
	} {
		var d tenant.Duration
		require.NoError(t, json.Unmarshal([]byte(text), &d), text)
		require.Equal(t, tenant.Duration(want), d, text)
		written, err := json.Marshal(d)
		require.NoError(t, err)
		var again tenant.Duration
		require.NoError(t, json.Unmarshal(written, &again))
		require.Equal(t, d, again)
	}
	for _, text := range []string{`50`, `"50"`, `"0"`, `"-1s"`, `"+1s"`, `""`, `"1d"`, `null`, `"99999999999h"`} {
		var d tenant.Duration
		require.ErrorContains(t, json.Unmarshal([]byte(text), &d), `must be a time such as "50ms"`, text)
	}
}

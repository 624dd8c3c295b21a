package environ

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestNames: every variable has one owner.
func TestNames(t *testing.T) {
	require.ElementsMatch(t, append(Names(Sessions), Names(Storage)...), names)
	require.Contains(t, Names(Sessions), Secret)
	require.Contains(t, Names(Storage), "SESSION_STORAGE")
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "off": 0, "OFF": 0, "90": 90 * time.Second, "90m": 90 * time.Minute, "1500ms": 1500 * time.Millisecond, "168h": 168 * time.Hour,
	} {
		got, err := Duration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := Duration(FormatDuration(got))
		require.NoError(t, err, text)
		require.Equal(t, want, again, text)
	}
	require.Equal(t, []string{"off", "168h", "1h30m", "1h0m1s", "30s"},
		[]string{FormatDuration(0), FormatDuration(168 * time.Hour), FormatDuration(90 * time.Minute), FormatDuration(time.Hour + time.Second), FormatDuration(30 * time.Second)})
	for _, text := range []string{"", "soon", "1.5", "-1", "-1ns", "9223372036854775807", "1h 2m"} {
		_, err := Duration(text)
		require.Error(t, err, text)
	}
}

func TestBool(t *testing.T) {
	for text, want := range map[string]bool{"true": true, "Yes": true, "ON": true, "1": true, "false": false, "No": false, "off": false, "0": false} {
		got, err := Bool(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "ture", "2", "y", "n"} {
		_, err := Bool(text)
		require.Error(t, err, text)
	}
}

// TestValues: if a name occurs more than once, the last value counts, as in a
// process.
func TestValues(t *testing.T) {
	require.Equal(t, map[string]string{"A": "2", "B": "x=y", "": ""}, Values([]string{"A=1", "B=x=y", "A=2", "C", "="}))
}

package printable_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/printable"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, ünïcode 鸭": "plain text, ünïcode 鸭",
		"a\nb\tc\rd":            "a\ufffdb\ufffdc\ufffdd",
		"\x1b[31mred":           "\ufffd[31mred",
		"\u202eback\u2028":      "\ufffdback\ufffd",
		"half \xe9":             "half \ufffd",
		"\x00\x7f\u0085":        "\ufffd\ufffd\ufffd",
	} {
		require.Equal(t, want, printable.Clean(in))
	}
	require.Equal(t, "a\nb\tc\ufffd", printable.CleanLines("a\nb\tc\r"))
}

func TestCut(t *testing.T) {
	text := []byte("aé鸭\U0001f986z")
	for n := range len(text) + 2 {
		got := printable.Cut(text, n)
		require.LessOrEqual(t, len(got), n)
		require.Greater(t, len(got), min(n, len(text))-4)
		require.True(t, utf8.Valid(got), "%d", n)
	}
	require.Equal(t, []byte("\xff\xff"), printable.Cut([]byte("\xff\xff\xff"), 2), "what is not text is not shortened further")
}

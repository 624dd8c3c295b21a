package hosting

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokens(t *testing.T) {
	dir := t.TempDir()
	for _, bad := range []string{"", "short", strings.Repeat("x", 31), strings.Repeat("x", 40) + " y", strings.Repeat("x", 40) + "\x7f", strings.Repeat("é", 40)} {
		_, err := ParseToken(bad)
		require.ErrorIs(t, err, ErrToken, bad)
		require.NotContains(t, err.Error(), "xxxx", "an error ends up in a log")
	}
	require.False(t, Token{}.is(""), "no token opens nothing")

	made, path, err := KeptToken(dir)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, made.is(strings.TrimSpace(string(text))))
	require.False(t, made.is(string(text[:20])))
	again, _, err := KeptToken(dir)
	require.NoError(t, err)
	require.Equal(t, made, again, "it stays over a restart")
	info, err := os.Stat(path)
	require.NoError(t, err)
	if othersMayRead(0o644) {
		require.EqualValues(t, 0o600, info.Mode().Perm())
		require.NoError(t, os.Chmod(path, 0o644))
		_, _, err = KeptToken(dir)
		require.ErrorIs(t, err, ErrToken)
		require.ErrorContains(t, err, "chmod 600")
	}
	_, err = ReadToken(dir)
	require.ErrorIs(t, err, ErrToken)
	_, err = ReadToken(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

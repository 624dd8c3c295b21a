package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Mistakes that only one platform sees are found there, in tests as well, and each is
// reported once.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":             "module example.org/m\n\ngo 1.26.0\n",
		"m.go":               "package m\n\nimport \"fmt\"\n\n// Say is like fmt.Printf.\nfunc Say(format string, a ...any) { fmt.Printf(format, a...) }\n",
		"n/n_windows.go":     "package n\n\nimport \"example.org/m\"\n\nfunc F() { m.Say(\"%d\", \"one\") }\n",
		"n/n.go":             "package n\n",
		"n/n_test.go":        "package n\n\nimport \"testing\"\n\nfunc TestN(t *testing.T) {}\n",
		"n/n_darwin_test.go": "package n\n\nvar _ int = \"two\"\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	for platform, want := range map[string]string{
		"linux/amd64":   "",
		"windows/arm64": "n_windows.go:5:19: example.org/m.Say format %d has arg \"one\" of wrong type string",
		"darwin/arm64":  "n_darwin_test.go:3:13: cannot use \"two\"",
	} {
		found, err := check(dir, platform)
		require.NoError(t, err, platform)
		if want == "" {
			require.Empty(t, found, platform)
			continue
		}
		require.Len(t, found, 1, platform)
		require.Contains(t, strings.Join(found, "\n"), want, platform)
	}
	_, err := check(dir, "linux")
	require.ErrorContains(t, err, "must be SYSTEM/PROCESSOR")
}

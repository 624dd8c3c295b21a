package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOperatingDocument: each verb takes the arguments and flags that the document gives
// it, and the table of metrics has those that there are.
func TestOperatingDocument(t *testing.T) {
	data, err := os.ReadFile("OPERATING.md")
	require.NoError(t, err)
	text := string(data)
	env := &environment{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	call := regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*waddle ([a-z]+)([^#]*)`)
	found := make(map[string]bool)
	for _, block := range regexp.MustCompile("(?ms)^```\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			m := call.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil {
				require.NotContains(t, line, "waddle ")
				continue
			}
			for _, verb := range verbs(newRoot(env)) {
				if verb.Name() == m[1] {
					found[m[1]] = true
					require.NoError(t, verb.ParseFlags(strings.Fields(m[2])), line)
					require.NoError(t, verb.ValidateArgs(verb.Flags().Args()), line)
				}
			}
			require.True(t, found[m[1]], "there is no verb %s", m[1])
		}
	}
	for _, verb := range []string{"run", "sessions", "migrate", "check", "backup", "restore"} {
		require.True(t, found[verb], "the document shows no waddle %s", verb)
	}

	files, err := filepath.Glob(filepath.Join("internal", "probes", "*.go"))
	require.NoError(t, err)
	there := make(map[string]bool)
	for _, file := range files {
		if code, err := os.ReadFile(file); err == nil && !strings.HasSuffix(file, "_test.go") {
			for _, m := range regexp.MustCompile(`"(waddle_[a-z_]+)"`).FindAllStringSubmatch(string(code), -1) {
				there[m[1]] = true
			}
		}
	}
	require.Greater(t, len(there), 20)
	told := make(map[string]bool)
	for _, m := range regexp.MustCompile("`(waddle_[a-z_]+)`").FindAllStringSubmatch(text, -1) {
		told[m[1]] = true
	}
	require.Equal(t, there, told, "the metrics of the program, and of the document")
}

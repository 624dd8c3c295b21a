package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fence finds the blocks of code of a document, with their languages.
var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// varies names what differs from one run to the next.
var varies = map[string]bool{"id": true, "public_id": true, "created": true, "last_seen": true, "expires": true, "cookie_until": true, "logged_in": true}

// steady replaces what varies by its kind.
func steady(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if text, ok := inner.(string); ok && varies[name] && text != "" {
				v[name] = "(some " + name + ")"
				continue
			}
			v[name] = steady(inner)
		}
	case []any:
		for i := range v {
			v[i] = steady(v[i])
		}
	}
	return v
}

// TestServeDocument runs the document's examples over a real server. Each block of JSON is
// the answer to the command before it.
func TestServeDocument(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil || runtime.GOOS == "windows" {
			t.Skip("SKIPPED: no " + tool + " here")
		}
	}
	text, err := os.ReadFile("SERVE.md")
	require.NoError(t, err)
	socket := filepath.Join(socketDir(t), "s")
	s := serveSessions(t, socket, nil)
	shell := func(lines, id string) string {
		cmd := exec.Command("bash", "-c", lines)
		cmd.Env = append(os.Environ(), "SOCKET="+socket, "ID="+id)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", lines, out)
		return string(out)
	}
	program := func(name string, args ...string) string {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("SKIPPED: no %s here", name)
			return ""
		}
		out, err := exec.Command(name, args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	var define, said, id string
	compared := 0
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		code := strings.ReplaceAll(m[2], "/run/waddle/sessions.sock", socket)
		switch m[1] {
		case "sh":
			if strings.HasPrefix(code, "waddle() ") {
				define = code
				continue
			}
			said = shell(define+code, id)
			var answer kept
			require.NoError(t, json.Unmarshal([]byte(said), &answer), said)
			if answer.Session.ID != "" {
				id = answer.Session.ID
			}
		case "json":
			var want, found any
			require.NoError(t, json.Unmarshal([]byte(code), &want), code)
			require.NoError(t, json.Unmarshal([]byte(said), &found), said)
			require.Equal(t, steady(want), steady(found))
			compared++
		case "python":
			if out := program("python3", "-c", code); out != "" {
				require.Equal(t, "ada [('cart', ['tea']), ('visits', 1)]\n", out)
			}
		case "js":
			if out := program("node", "-e", code); out != "" {
				require.Equal(t, "ada {\"cart\":[\"tea\"],\"visits\":1}\n", out)
			}
		}
	}
	require.GreaterOrEqual(t, compared, 6)

	// Its tables have every path, every code of an error and every bound.
	r, err := s.client.Get("http://waddle/v1/openapi.json")
	require.NoError(t, err)
	defer r.Body.Close()
	var described struct {
		Paths      map[string]any
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					Properties map[string]struct{ Enum []string }
				}
			}
		}
	}
	require.NoError(t, json.NewDecoder(r.Body).Decode(&described))
	for path := range described.Paths {
		require.Contains(t, string(text), "`"+path+"`")
	}
	codes := described.Components.Schemas["Error"].Properties["error"].Properties["code"].Enum
	require.NotEmpty(t, codes)
	for _, code := range codes {
		require.Contains(t, string(text), "`"+code+"`")
	}
}

package gorillastore_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stores has what gorilla's own tests call its stores, made of ours.
const stores = `package upstream

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
	"github.com/waddle-sessions/waddle/host/adapt/gorillastore"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var beneath = func() store.Store {
	config := plugin.Config{Shards: 1, Logger: slog.New(slog.DiscardHandler)}
	switch kind := os.Getenv("TEST_STORE"); kind {
	case "native":
		return store.NewMemory()
	case "memory engine":
		return must(memory.Open(context.Background(), config))
	default:
		return must(plugin.OpenFile(context.Background(), kind, config))
	}
}()

// ourCookieStore has the options that NewCookieStore gives.
func ourCookieStore(keyPairs ...[]byte) *gorillastore.Store {
	return must(gorillastore.New(beneath, gorillastore.Settings{
		Options: &sessions.Options{Path: "/", MaxAge: 86400 * 30, SameSite: http.SameSiteNoneMode, Secure: true},
		Codecs:  securecookie.CodecsFromPairs(keyPairs...),
	}))
}

// ourFilesystemStore has the options and the bound that NewFilesystemStore gives.
func ourFilesystemStore(_ string, keyPairs ...[]byte) *gorillastore.Store {
	return must(gorillastore.New(beneath, gorillastore.Settings{
		Options: &sessions.Options{Path: "/", MaxAge: 86400 * 30},
		Codecs:  securecookie.CodecsFromPairs(keyPairs...),
		MaxSize: 4096,
	}))
}
`

// gorilla's own tests of its stores and sessions pass over ours. They are compiled
// with our constructors in the place of theirs, as a package that exists only
// during this test.
func TestOwnTestsOfGorilla(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles a test")
	}
	source := run(t, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gorilla/sessions")
	dir := t.TempDir()
	overlay := make(map[string]string)
	add := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		overlay[absolute(t, filepath.Join("upstream", name))] = path
	}
	add("stores_test.go", stores)
	tests := 0
	for _, name := range []string{"sessions_test.go", "store_test.go"} {
		data, err := os.ReadFile(filepath.Join(source, name))
		require.NoError(t, err)
		text := string(data)
		tests += strings.Count(text, "\nfunc Test")
		for _, each := range [][2]string{
			{"package sessions\n", "package upstream\n\nimport . \"github.com/gorilla/sessions\"\n"},
			{"NewCookieStore(", "ourCookieStore("},
			{"NewFilesystemStore(", "ourFilesystemStore("},
		} {
			if each[0] != "NewFilesystemStore(" || name == "store_test.go" {
				require.Contains(t, text, each[0])
			}
			text = strings.ReplaceAll(text, each[0], each[1])
		}
		if name == "store_test.go" {
			text += "\nvar _ = GetRegistry\n" // the import is used
		}
		add(name, text)
	}
	require.GreaterOrEqual(t, tests, 7, "the tests are there")
	data, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	listed := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(listed, data, 0o600))
	program := filepath.Join(dir, "gorilla.test")
	run(t, "go", "test", "-vet=off", "-overlay", listed, "-c", "-o", program, "./upstream")
	for _, kind := range []string{"native", "memory engine", absolute(t, "../../../examples/guests/c/store.wasm")} {
		t.Run(filepath.Base(kind), func(t *testing.T) {
			t.Parallel()
			command := exec.Command(program, "-test.v")
			command.Dir, command.Env = dir, append(os.Environ(), "TEST_STORE="+kind)
			out, err := command.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Equal(t, tests, strings.Count(string(out), "--- PASS: "), "%s", out)
		})
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), "GOWORK=off")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	return path
}

package scsstore_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hook gives scs.New another store than its own, as a program does that sets
// SessionManager.Store.
const hook = `package scs

var NewStore func() Store
`

// hookTest runs in one program with scs's own tests.
const hookTest = `package scs_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/alexedwards/scs/v2"
	"github.com/waddle-sessions/waddle/host/adapt/scsstore"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func init() {
	keyring := must(session.NewKeyring("0123456789abcdefghijklmnopqrstuv"))
	config := plugin.Config{Shards: 1, Logger: slog.New(slog.DiscardHandler)}
	namespace := byte('a')
	var beneath func() store.Store
	switch kind := os.Getenv("TEST_STORE"); kind {
	case "native":
		beneath = func() store.Store { return store.NewMemory() }
	case "memory engine":
		p := must(memory.Open(context.Background(), config))
		beneath = func() store.Store { return p }
	default:
		p := must(plugin.OpenFile(context.Background(), kind, config))
		beneath = func() store.Store { return p }
	}
	namespaces := make(chan string)
	go func() {
		for ; ; namespace++ {
			namespaces <- string(rune(namespace))
		}
	}()
	scs.NewStore = func() scs.Store {
		return must(scsstore.New(beneath(), scsstore.Settings{Keyring: keyring, Namespace: <-namespaces}))
	}
}
`

// scs's own tests of its SessionManager pass over our stores. They are in its
// package, so a copy of that is made with a store of ours in the place of memstore.
func TestOwnTestsOfScs(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles scs")
	}
	goCommand := filepath.Join(run(t, ".", "go", "env", "GOROOT"), "bin", "go")
	source := run(t, ".", goCommand, "list", "-m", "-f", "{{.Dir}}", "github.com/alexedwards/scs/v2")
	dir := t.TempDir()
	tests := 0
	for _, in := range []string{".", "mockstore", "memstore"} {
		files, err := filepath.Glob(filepath.Join(source, in, "*.go"))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, in), 0o755))
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			text := string(data)
			if name := filepath.Base(file); in == "." && name == "session.go" {
				require.Contains(t, text, "memstore.New()")
				text = strings.ReplaceAll(text, "memstore.New()", "NewStore()")
				text = strings.ReplaceAll(text, "\t\"github.com/alexedwards/scs/v2/memstore\"\n", "")
			}
			tests += strings.Count(text, "\nfunc Test")
			write(t, filepath.Join(dir, in, filepath.Base(file)), text)
		}
	}
	require.Greater(t, tests, 30, "the tests are there")
	write(t, filepath.Join(dir, "hook.go"), hook)
	write(t, filepath.Join(dir, "hook_test.go"), hookTest)
	root := absolute(t, "../../..")
	data, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	text := regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(string(data), "module github.com/alexedwards/scs/v2")
	text = regexp.MustCompile(`(?m)^\s*github.com/alexedwards/scs/v2 .*\n`).ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "=> ../../..", "=> "+root)
	text += "\nrequire github.com/waddle-sessions/waddle/host/adapt/scsstore v0.1.0\nreplace github.com/waddle-sessions/waddle/host/adapt/scsstore => " + filepath.Join(root, "host/adapt/scsstore") + "\n"
	write(t, filepath.Join(dir, "go.mod"), text)
	data, err = os.ReadFile("go.sum")
	require.NoError(t, err)
	write(t, filepath.Join(dir, "go.sum"), string(data))

	program := filepath.Join(dir, "scs.test")
	run(t, dir, goCommand, "test", "-mod=mod", "-vet=off", "-c", "-o", program, ".")
	for _, kind := range []string{"native", "memory engine", absolute(t, "../../../examples/guests/c/store.wasm")} {
		t.Run(filepath.Base(kind), func(t *testing.T) {
			t.Parallel()
			command := exec.Command(program, "-test.v")
			command.Dir, command.Env = dir, append(os.Environ(), "TEST_STORE="+kind)
			out, err := command.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.GreaterOrEqual(t, strings.Count(string(out), "\n--- PASS: "), 25, "%s", out)
			require.NotContains(t, string(out), "--- SKIP")
		})
	}
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Dir = dir
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

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

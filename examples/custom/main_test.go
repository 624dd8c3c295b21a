package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/internal/visit"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

func TestOwnStorageIsLoaded(t *testing.T) {
	store, err := plugin.OpenFile(t.Context(), buildStore(t), plugin.Config{})
	require.NoError(t, err)
	defer store.Close(t.Context())
	sessions, err := session.New(store, session.Settings{})
	require.NoError(t, err)

	client := visit.NewClient(t, sessions.Handler(http.HandlerFunc(counter)))
	require.Equal(t, "visit 1\n", client.OK("any"))
	require.Equal(t, "visit 2\n", client.OK("any"))
}

func TestServerEndsWhenItIsTerminated(t *testing.T) {
	server, jar := visit.Start(t, visit.Build(t), buildStore(t)), visit.NewJar(t)
	require.Equal(t, "visit 1\n", server.Get(jar, "any"))
	require.Equal(t, "visit 2\n", server.Get(jar, "any"))
	server.Terminate()
}

func buildStore(t *testing.T) string {
	t.Helper()
	wasm := filepath.Join(t.TempDir(), "store.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", wasm, "./store")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return wasm
}

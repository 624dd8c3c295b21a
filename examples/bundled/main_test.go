package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/internal/visit"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestVisitsAreCounted(t *testing.T) {
	engine, err := engines.OpenFromEnv(t.Context(), nil)
	require.NoError(t, err)
	defer store.Close(t.Context(), engine)
	sessions, err := session.New(engine, session.Settings{})
	require.NoError(t, err)

	client := visit.NewClient(t, sessions.Handler(http.HandlerFunc(counter)))
	require.Equal(t, "visit 1\n", client.OK("any"))
	require.Equal(t, "visit 2\n", client.OK("any"))
	require.Equal(t, "visit 1\n", visit.NewClient(t, sessions.Handler(http.HandlerFunc(counter))).OK("any"))
}

// A service manager ends a server with SIGTERM, and starts the next one.
func TestSessionsAreSavedWhenTheServerIsTerminated(t *testing.T) {
	program, jar := visit.Build(t), visit.NewJar(t)
	t.Setenv("SESSION_DIR", t.TempDir())
	first := visit.Start(t, program)
	require.Equal(t, "visit 1\n", first.Get(jar, "any"))
	require.Equal(t, "visit 2\n", first.Get(jar, "any"))
	first.Terminate()

	second := visit.Start(t, program)
	require.Equal(t, "visit 3\n", second.Get(jar, "any"))
	second.Terminate()
}

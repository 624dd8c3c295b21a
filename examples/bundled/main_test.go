package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/internal/visit"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

func TestVisitsAreCounted(t *testing.T) {
	engine, err := memory.Open(t.Context(), plugin.Config{})
	require.NoError(t, err)
	defer engine.Close(t.Context())
	sessions, err := session.New(engine, session.Defaults())
	require.NoError(t, err)

	client := visit.NewClient(t, sessions.Handler(http.HandlerFunc(counter)))
	require.Equal(t, "visit 1\n", client.OK("any"))
	require.Equal(t, "visit 2\n", client.OK("any"))
	require.Equal(t, "visit 1\n", visit.NewClient(t, sessions.Handler(http.HandlerFunc(counter))).OK("any"))
}

// A service manager ends a server with SIGTERM, and starts the next one.
func TestSessionsAreSavedWhenTheServerIsTerminated(t *testing.T) {
	program, dir, jar := visit.Build(t), t.TempDir(), visit.NewJar(t)
	first := visit.Start(t, program, "-dir", dir)
	require.Equal(t, "visit 1\n", first.Get(jar, "any"))
	require.Equal(t, "visit 2\n", first.Get(jar, "any"))
	first.Terminate()

	second := visit.Start(t, program, "-dir", dir)
	require.Equal(t, "visit 3\n", second.Get(jar, "any"))
	second.Terminate()
}

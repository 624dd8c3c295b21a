package namespace_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/internal/namespace"
)

// TestOf: the name is that of the directory in one process, and another one in the next.
func TestOf(t *testing.T) {
	if os.Getenv("WADDLE_TELL_NAMESPACE") != "" {
		os.Stdout.WriteString(namespace.Of("a directory") + "\n")
		return
	}
	one := namespace.Of("a directory")
	require.Equal(t, one, namespace.Of("a directory"))
	require.NotEqual(t, one, namespace.Of("another directory"))
	require.Regexp(t, "^n[0-9a-f]{16}$", one)

	again := exec.Command(os.Args[0], "-test.run=^TestOf$")
	again.Env = append(os.Environ(), "WADDLE_TELL_NAMESPACE=1")
	told, err := again.Output()
	require.NoError(t, err)
	require.Regexp(t, "^n[0-9a-f]{16}\n", string(told))
	require.NotContains(t, string(told), one)
}

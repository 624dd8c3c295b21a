// Package duck_test runs the tests of the session engine for Duck, which are in Python. They call
// it as the framework does, and need no framework.
package duck_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/examples/internal/python"
)

func TestEngine(t *testing.T) {
	interpreter := python.Find(t, "http.client", "python3")
	python.Compile(t, interpreter, ".")
	waddle, err := python.Waddle(t.TempDir())
	require.NoError(t, err)
	python.Run(t, python.Command(t, interpreter, ".", []string{"../python", "."}, []string{"WADDLE=" + waddle}, "-m", "unittest", "discover", "-t", ".", "-s", "tests"))
}

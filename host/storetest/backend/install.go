package backend

import (
	"errors"
	"os"
	"testing"
)

// ErrNotInstalled is returned when the program of a server is not on this machine.
var ErrNotInstalled = errors.New("a server that the test needs is not installed")

// skipUninstalled skips the test if err says that a program is not installed. In CI it
// does nothing, so that the caller fails.
func skipUninstalled(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" {
		t.Skipf("SKIPPED: %v", err)
	}
}

//go:build unix

package tenant_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// A pipe without a writer holds nobody up.
func TestReadManifestOfAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "a.json")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := tenant.ReadManifest(pipe)
	require.ErrorContains(t, err, "is a pipe: must be a regular file")
	_, err = tenant.ReadManifest("/dev/zero")
	require.ErrorContains(t, err, "is a device: must be a regular file")
}

package tenant_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// On a disk without room a replacement that would keep state there is rolled back, and the
// state in force stays as it is.
func TestFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("SKIPPED: making a small disk needs Linux and root")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: a small disk cannot be mounted here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	h, told := newHost(t, tenant.HostConfig{Dir: dir})
	m := named("alice")
	m.Persist = true
	made := deploy(t, h, m)
	s, now := made.Store(), store.At(time.Now())
	for i := range byte(40) {
		require.NoError(t, s.Set(ctx, store.Write{Key: []byte{i}, Value: make([]byte, 16<<10), Now: now, Expires: now + 3_600_000}))
	}
	require.NoError(t, store.Save(ctx, s, now))
	told.forget()
	// Two snapshots of 640 KiB do not fit.
	m.Limits.Fuel = plugin.DefaultFuel - 1
	_, err := h.Deploy(ctx, m)
	require.ErrorIs(t, err, tenant.ErrState)
	require.Equal(t, []tenant.EventKind{tenant.EventRolledBack}, told.kinds("alice"))
	require.Equal(t, []string{"1"}, rooms(t, dir), "what was written in vain is gone")
	for i := range byte(40) {
		_, err := s.Get(ctx, []byte{i}, now)
		require.NoError(t, err)
	}
	require.ErrorContains(t, h.Close(ctx), "no space left", "it says that what it has since the last save is not on disk")
	require.FileExists(t, filepath.Join(dir, "state", "alice", "1", "sessions.snapshot"))

	// With room it goes on from there.
	require.NoError(t, exec.Command("mount", "-o", "remount,size=8m", dir).Run())
	h, _ = newHost(t, tenant.HostConfig{Dir: dir})
	made = deploy(t, h, named("bob"))
	require.NotNil(t, made)
	made = deploy(t, h, m)
	for i := range byte(40) {
		_, err := made.Store().Get(ctx, []byte{i}, now)
		require.NoError(t, err)
	}
}

package plugin

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The defaults of budgets come from the machine.
func TestBudgetsOfTheMachine(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/meminfo":              "MemFree:  1 kB\nMemTotal:     4000000 kB\n",
		"proc/sys/vm/max_map_count": "1000\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	b := HostConfig{}.budgets(root)
	require.EqualValues(t, 4_000_000<<10*3/4, b.memory.limit)
	require.EqualValues(t, 750, b.mappings.limit)
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	require.EqualValues(t, files.Cur/2, b.handles.limit)
	require.Positive(t, b.space.limit)

	require.NoError(t, b.mappings.take(700))
	err := b.mappings.take(51)
	require.ErrorIs(t, err, ErrBudget)
	for _, text := range []string{"51 more memory mappings", "have 700", "HostConfig.Mappings is 750 by default", "75 % of 1000",
		"/proc/sys/vm/max_map_count", "raise HostConfig.Mappings"} {
		require.ErrorContains(t, err, text)
	}
	require.NoError(t, b.mappings.take(50))
	b.mappings.give(750)
	require.Zero(t, b.mappings.used.Load())

	// A control group sets a lower limit.
	group := filepath.Join(root, "proc/self")
	require.NoError(t, os.MkdirAll(group, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(group, "cgroup"), []byte("0::/box\n"), 0o600))
	box := filepath.Join(root, "sys/fs/cgroup/box")
	require.NoError(t, os.MkdirAll(box, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(box, "memory.max"), []byte("1000000\n"), 0o600))
	require.EqualValues(t, 750_000, HostConfig{}.budgets(root).memory.limit)

	// A set value counts, and an unknown one means no bound.
	b = HostConfig{Memory: 5, AddressSpace: 6, Mappings: 7, Handles: -1}.budgets(root)
	require.EqualValues(t, []int64{5, 6, 7, -1}, []int64{b.memory.limit, b.space.limit, b.mappings.limit, b.handles.limit})
	require.NoError(t, b.handles.take(1<<40))
	b = HostConfig{}.budgets(t.TempDir())
	require.EqualValues(t, []int64{-1, -1}, []int64{b.memory.limit, b.mappings.limit})
}

package plugin_test

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// machine makes a root with files of /proc and /sys.
func machine(t *testing.T, files map[string]string) string {
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text+"\n"), 0o444))
	}
	return root
}

func TestDefaultMemoryKnowsTheContainers(t *testing.T) {
	const MiB = 1 << 20
	for _, c := range []struct {
		name   string
		files  map[string]string
		shards int
		want   int64 // bytes for all instances
		by     string
	}{
		{"no files at all", nil, 4, 512 * MiB, ""},
		{"version 2, a container's own", map[string]string{"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "268435456"},
			4, 128 * MiB, "/sys/fs/cgroup/memory.max"},
		{"version 2, no limit", map[string]string{"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "max"}, 4, 512 * MiB, ""},
		{"version 2, the least of those above", map[string]string{"proc/self/cgroup": "0::/slice/unit/leaf",
			"sys/fs/cgroup/slice/memory.max": "314572800", "sys/fs/cgroup/slice/unit/memory.max": "536870912", "sys/fs/cgroup/slice/unit/leaf/memory.max": "max"},
			4, 150 * MiB, "/sys/fs/cgroup/slice/memory.max"},
		{"version 2, where it is slowed down", map[string]string{"proc/self/cgroup": "0::/a",
			"sys/fs/cgroup/a/memory.max": "536870912", "sys/fs/cgroup/a/memory.high": "419430400"}, 4, 200 * MiB, "/sys/fs/cgroup/a/memory.high"},
		{"version 2, the path is the host's", map[string]string{"proc/self/cgroup": "0::/docker/0123", "sys/fs/cgroup/memory.max": "268435456"},
			4, 128 * MiB, "/sys/fs/cgroup/memory.max"},
		{"version 1", map[string]string{"proc/self/cgroup": "4:cpu,cpuacct:/x\n3:memory:/docker/01\n0::/",
			"sys/fs/cgroup/memory/docker/01/memory.limit_in_bytes": "402653184", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"},
			4, 192 * MiB, "/sys/fs/cgroup/memory/docker/01/memory.limit_in_bytes"},
		{"version 1, no limit", map[string]string{"proc/self/cgroup": "3:memory:/", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"},
			4, 512 * MiB, ""},
		{"what is no number", map[string]string{"proc/self/cgroup": "0::/\nnonsense\n::", "sys/fs/cgroup/memory.max": "a lot"}, 4, 512 * MiB, ""},
		{"a path that leads out", map[string]string{"proc/self/cgroup": "0::/../../etc", "sys/fs/cgroup/etc/memory.max": "268435456"}, 4, 128 * MiB, "/sys/fs/cgroup/etc/memory.max"},
		{"more than enough", map[string]string{"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "8589934592"}, 4, 512 * MiB, ""},
		{"too little for four", map[string]string{"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "100663296"}, 4, 96 * MiB, "more than half"},
		{"too little for many", map[string]string{"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "100663296"}, 0, 48 * MiB, "/sys/fs/cgroup/memory.max"},
		{"hardly any", map[string]string{"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "16777216"}, 0, 24 * MiB, "more than half"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log logBuffer
			config := quiet()
			config.Shards, config.MemoryLimit, config.Logger = c.shards, 0, log.logger()
			plugin.Root(&config, machine(t, c.files))
			p := open(t, guest(t, "tiny"), config)
			require.Equal(t, c.want, p.Stats().MemoryLimit)
			if c.by == "" {
				require.NotContains(t, log.String(), "guests may take")
				return
			}
			require.Contains(t, log.String(), "guests may take")
			require.Contains(t, log.String(), c.by)
		})
	}
}

// The config counts, whatever the machine has.
func TestMemoryLimitThatIsSet(t *testing.T) {
	var log logBuffer
	config := quiet()
	config.MemoryLimit, config.Logger = 256<<20, log.logger()
	plugin.Root(&config, machine(t, map[string]string{"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "104857600"}))
	require.EqualValues(t, 256<<20, open(t, guest(t, "tiny"), config).Stats().MemoryLimit)
	require.NotContains(t, log.String(), "guests may take")
}

func TestGoMemoryLimit(t *testing.T) {
	old := debug.SetMemoryLimit(400 << 20)
	defer debug.SetMemoryLimit(old)
	var log logBuffer
	config := quiet()
	config.MemoryLimit, config.Logger = 0, log.logger()
	plugin.Root(&config, t.TempDir())
	require.EqualValues(t, 200<<20, open(t, guest(t, "tiny"), config).Stats().MemoryLimit)
	require.Contains(t, log.String(), "by=GOMEMLIMIT")
	debug.SetMemoryLimit(math.MaxInt64)
	require.EqualValues(t, 512<<20, open(t, guest(t, "tiny"), config).Stats().MemoryLimit)
}

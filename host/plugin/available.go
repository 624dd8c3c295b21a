package plugin

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// memoryShare divides the memory that the process may have: by default, guests
	// get one part of it. The rest is for Go, for other plugins, and for
	// what else the kernel charges to a container.
	memoryShare = 2
	// leastShard is the least that an instance gets by default. The bundled engines
	// need up to 21 MiB to open, of address space and not of memory.
	leastShard = 24 << 20
)

// available returns how much memory this process may take in all, and where the
// limit comes from; 0 if there is none. It is the lowest limit of the process's
// control group, those above it, and GOMEMLIMIT. root is where /proc and /sys are.
func available(root string) (limit int64, source string) {
	limit = math.MaxInt64
	lower := func(n int64, from string) {
		if n > 0 && n < limit {
			limit, source = n, from
		}
	}
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	for line := range strings.Lines(string(groups)) {
		if err != nil {
			break
		}
		// The form is hierarchy:controllers:path. Version 2 has no controllers there.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		var mounts, files []string
		switch {
		case parts[1] == "":
			mounts, files = []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"}, []string{"memory.max", "memory.high"}
		case strings.Contains(","+parts[1]+",", ",memory,"):
			mounts, files = []string{"sys/fs/cgroup/memory"}, []string{"memory.limit_in_bytes"}
		}
		// Within a container the path may be the host's and not exist here. The
		// container's own group is then the root.
		for dir := path.Clean("/" + parts[2]); ; dir = path.Dir(dir) {
			for _, mount := range mounts {
				for _, file := range files {
					name := path.Join("/", mount, dir, file)
					lower(readLimit(filepath.Join(root, name)), name)
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	lower(debug.SetMemoryLimit(-1), "GOMEMLIMIT")
	if limit >= noLimit {
		return 0, ""
	}
	return limit, source
}

// noLimit stands for no limit. Version 1 writes about that much, in whole pages,
// where there is none, and no machine has it.
const noLimit = 1 << 60

// readLimit returns the number in a file, 0 if there is none.
func readLimit(name string) int64 {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n < 0 {
		return 0 // "max"
	}
	return n
}

// boundMemory sets MemoryLimit if the config does not. If the config does not set
// Shards either, it lowers them to what that memory is enough for.
func (s *resolved) boundMemory() {
	if s.MemoryLimit == 0 {
		s.MemoryLimit = defaultMemory
		s.container, s.containerSays = available(s.root)
		if s.container > 0 {
			s.MemoryLimit = min(defaultMemory, s.container/memoryShare)
		}
	}
	if s.container == 0 {
		return
	}
	for s.autoShards && s.Shards > 1 && s.MemoryLimit/int64(s.Shards) < leastShard {
		s.Shards /= 2
	}
	// An instance cannot open with less.
	s.MemoryLimit = max(s.MemoryLimit, min(defaultMemory, leastShard*int64(s.Shards)))
}

// sayMemory logs a MemoryLimit that follows from the machine.
func (s *resolved) sayMemory() {
	if s.container == 0 || s.MemoryLimit >= defaultMemory {
		return
	}
	args := []any{"plugin", s.name, "memory_limit", s.MemoryLimit, "shards", s.Shards, "limit_of_process", s.container, "by", s.containerSays}
	if s.MemoryLimit > s.container/memoryShare {
		s.Logger.Warn("guests may take more than half of the little memory that this process may have: set MemoryLimit and fewer Shards", args...)
		return
	}
	s.Logger.Info("guests may take half of the memory that this process may have, since MemoryLimit is not set", args...)
}

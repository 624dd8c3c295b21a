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
	// memoryShare is which part of what the process may have guests get unless
	// that is said: one in so many. The rest is for Go, for other plugins, and for
	// what the kernel counts to a container besides.
	memoryShare = 2
	// leastShard is what an instance gets at least by default: the bundled engines
	// need up to 21 MiB, of address space and not of memory, to open.
	leastShard = 24 << 20
)

// available is how much memory this process may take altogether, and who says so;
// 0 if nobody does. It is the least of what bounds the process's control group and
// those above it, and of GOMEMLIMIT. root is where /proc and /sys are.
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
		// hierarchy:controllers:path, where the controllers of version 2 are none.
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
		// Within a container the path may be the host's, which is not there: its
		// own group is then the root of what is.
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

// noLimit is what version 1 says, in whole pages, where there is none; and what
// nobody has.
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

// boundMemory decides MemoryLimit where the config does not, and how many of the
// shards that it does not fix that is enough for.
func (s *settled) boundMemory() {
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
	// Less would not be enough to open.
	s.MemoryLimit = max(s.MemoryLimit, min(defaultMemory, leastShard*int64(s.Shards)))
}

// sayMemory says in the log what the machine has decided.
func (s *settled) sayMemory() {
	if s.container == 0 || s.MemoryLimit >= defaultMemory {
		return
	}
	args := []any{"plugin", s.Name, "memory_limit", s.MemoryLimit, "shards", s.Shards, "limit_of_process", s.container, "by", s.containerSays}
	if s.MemoryLimit > s.container/memoryShare {
		s.Logger.Warn("guests may take more than half of the memory that this process may have, which is little: set MemoryLimit and fewer Shards", args...)
		return
	}
	s.Logger.Info("guests may take half of the memory that this process may have, since MemoryLimit is not set", args...)
}

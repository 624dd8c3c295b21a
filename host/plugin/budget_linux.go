package plugin

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// limitsOfMachine asks the kernel for its limits. root is where /proc and /sys are.
func limitsOfMachine(root string) (m machineLimits) {
	m.memory.limit, m.memory.source = available(root)
	if m.memory.limit == 0 {
		m.memory = machineLimit{memoryOfMachine(root), "the machine's memory"}
	}
	const mapCount = "proc/sys/vm/max_map_count"
	m.mappings = machineLimit{readLimit(filepath.Join(root, mapCount)), "/" + mapCount}
	m.handles = machineLimit{rlimit(syscall.RLIMIT_NOFILE), "RLIMIT_NOFILE"}
	m.space = machineLimit{mostSpace, "what is reserved for guests"}
	if n := rlimit(syscall.RLIMIT_AS); n > 0 && n < math.MaxInt64/2 {
		m.space = machineLimit{n / 2, "half of RLIMIT_AS"}
	}
	return m
}

// memoryOfMachine returns MemTotal of /proc/meminfo, 0 if it cannot be read.
func memoryOfMachine(root string) int64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == "MemTotal:" && string(fields[2]) == "kB" {
			n, _ := strconv.ParseInt(string(fields[1]), 10, 53)
			return n << 10
		}
	}
	return 0
}

// rlimit returns a limit of this process, 0 if there is none.
func rlimit(resource int) int64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(resource, &l); err != nil || l.Cur > math.MaxInt64 {
		return 0
	}
	return int64(l.Cur)
}

package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

func systemMemory() processMemory {
	var p processMemory
	p.Resident = kibibytes("/proc/self/smaps_rollup", "Pss:")
	p.Tables = kibibytes("/proc/self/status", "VmPTE:")
	if b, err := os.ReadFile("/proc/self/maps"); err == nil {
		p.Mappings = bytes.Count(b, []byte("\n"))
	}
	return p
}

// kibibytes returns a figure of a file of /proc in bytes, or 0.
func kibibytes(file, name string) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

//go:build !darwin && !linux && !freebsd

package sessiondir

// freeBytes returns -1: these systems are not asked.
func freeBytes(string) int64 { return -1 }

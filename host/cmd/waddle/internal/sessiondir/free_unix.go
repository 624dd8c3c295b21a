//go:build darwin || linux || freebsd

package sessiondir

import "golang.org/x/sys/unix"

// freeBytes returns how much of the disk this user can still use, or -1.
func freeBytes(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize)
}

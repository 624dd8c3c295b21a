package mount_test

import "syscall"

// makeDevice makes a second null device.
func makeDevice(path string) error { return syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|3) }

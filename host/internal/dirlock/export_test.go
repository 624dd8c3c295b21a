package dirlock

import "os"

// FailLocks makes every lock fail, as on a file system without locks, until the
// returned function is called.
func FailLocks(err error) (restore func()) {
	old := lockFile
	lockFile = func(*os.File) (bool, error) { return false, err }
	return func() { lockFile = old }
}

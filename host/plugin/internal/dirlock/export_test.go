package dirlock

import "os"

// FailLocks has every lock fail, as on a file system without locks, until what it
// returns is called.
func FailLocks(err error) (restore func()) {
	old := lockFile
	lockFile = func(*os.File) (bool, error) { return false, err }
	return func() { lockFile = old }
}

//go:build !unix

package hosting

import "os"

const nonblock = 0

// syncDirectory does nothing: a directory cannot be synced here.
func syncDirectory(string) error { return nil }

// othersMayRead cannot be told from the mode here.
func othersMayRead(os.FileMode) bool { return false }

//go:build !unix

package serving

import "os"

// refused reports whether nobody listens on a socket. These systems have several errors
// for that, and none of them is a time-out.
func refused(err error) bool { return !os.IsTimeout(err) }

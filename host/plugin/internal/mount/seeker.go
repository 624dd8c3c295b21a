package mount

import "github.com/tetratelabs/wazero/experimental/sys"

// seeker has the method Seek of sys.File, with N as int64. go vet would take a
// method with int64 itself for a misspelt io.Seeker.
type seeker[N int64] struct {
	to func(offset int64, whence int) (int64, sys.Errno)
}

// Seek implements sys.File.
func (s seeker[N]) Seek(offset N, whence int) (N, sys.Errno) {
	to, errno := s.to(int64(offset), whence)
	return N(to), errno
}

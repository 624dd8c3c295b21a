//go:build !unix

package backend

// StartWatched has no meaning here: programs are not watched.
func StartWatched() (pid int, err error) { return StartAbandoned() }

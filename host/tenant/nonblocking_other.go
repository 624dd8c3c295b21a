//go:build !unix

package tenant

// nonBlocking is for systems with pipes in directories.
const nonBlocking = 0

//go:build !unix

package plugin

import "io/fs"

// checkPrivate accepts every directory. Permissions here are inherited lists that a
// mode does not show, and a user's cache directory is private by default.
func checkPrivate(string, fs.FileInfo) error { return nil }

func ownedByProcess(fs.FileInfo) bool { return true }

func isReadOnlyDisk(error) bool { return false }

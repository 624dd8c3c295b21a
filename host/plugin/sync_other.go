//go:build !unix

package plugin

// syncDir does nothing: these systems do not sync directories.
func syncDir(string) error { return nil }

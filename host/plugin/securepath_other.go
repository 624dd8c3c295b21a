//go:build !unix

package plugin

import (
	"fmt"
	"os"
)

// privateDir makes a directory if it is not there. Who may write to it and above it
// is not to be had from modes here; see checkPrivate.
func privateDir(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is a file, and should be a directory", dir)
	}
	return dir, err
}

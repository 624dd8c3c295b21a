//go:build !unix

package plugin

import (
	"fmt"
	"os"
)

// privateDir makes a directory if it does not exist. Modes do not show here who may
// write to it and above it; see checkPrivate.
func privateDir(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is a file: must be a directory", dir)
	}
	return dir, err
}

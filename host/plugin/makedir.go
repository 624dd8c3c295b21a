package plugin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// syncParent is syncDir; tests look at what it is called for.
var syncParent = syncDir

// MakeDir makes a directory for a [Mount] with those above it, if they are not there,
// for the user of the process alone, and has the disk know their names: what is synced
// in a directory is lost with it if that has no name when the power comes back.
// Where the system does not let the process sync the directory above, that is left
// to the system.
func MakeDir(dir string) error {
	at, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var unsynced []string // directories with a name in them that may be new
	for above := filepath.Dir(at); above != at; at, above = above, filepath.Dir(above) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		unsynced = append(unsynced, above)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if len(unsynced) == 0 && unused(dir) {
		// Whoever made it may not have lived to sync it.
		unsynced = append(unsynced, filepath.Dir(at))
	}
	for _, above := range unsynced {
		if err := syncParent(above); err != nil && !mayNotSync(err) {
			return err
		}
	}
	return nil
}

// unused reports whether nothing is in a directory, but for what is the host's.
func unused(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(8)
	for _, name := range names {
		if !strings.HasPrefix(name, mount.HiddenPrefix) {
			return false
		}
	}
	return true
}

// mayNotSync reports whether it is not the disk that failed.
func mayNotSync(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported)
}

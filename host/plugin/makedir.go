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

// syncParent is syncDir. Tests replace it to see its calls.
var syncParent = syncDir

// MakeDir makes a directory for a [Mount], and those above it, if they do not exist.
// Only the user of the process may use them. It syncs their names to disk: synced files
// are lost with their directory if that has no name when the power comes back. If the
// system does not let the process sync the directory above, MakeDir leaves that to the
// system.
func MakeDir(dir string) error {
	at, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	var unsynced []string // directories that may hold a new name
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
		// The process that made it may have died before syncing it.
		unsynced = append(unsynced, filepath.Dir(at))
	}
	for _, above := range unsynced {
		if err := syncParent(above); err != nil && !mayNotSync(err) {
			return err
		}
	}
	return nil
}

// unused reports whether a directory has no files but the host's.
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

// mayNotSync reports whether the system refused to sync, rather than the disk failed.
func mayNotSync(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported)
}

package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/plugin/internal/mount"
)

// ShardsError is returned when a directory was written with another number of shards
// than the config asks for. Most guests would look for records in the wrong place, and
// those would be lost without a word. It is in a [LoadError] that is [ErrShards].
type ShardsError struct {
	Dir     string // as in the mount
	Written int    // the number of shards that wrote it
	Asked   int    // Config.Shards
}

// Error says what was found and how to mend it.
func (e *ShardsError) Error() string {
	return fmt.Sprintf("%q was written with %s, and Shards is %d: set Shards to %d, or to 0 for the number that the directory has; "+
		"to change it, carry the records over to another directory with Snapshot and Restore", e.Dir, shardCount(e.Written), e.Asked, e.Written)
}

func shardCount(n int) string {
	if n == 1 {
		return "1 shard"
	}
	return strconv.Itoa(n) + " shards"
}

// shardsName is the file that holds the number, in each directory that a guest may
// write to. Its name hides it from the guest.
const (
	shardsName      = mount.HiddenPrefix + ".shards"
	shardsTemporary = shardsName + ".new"
	shardsForm      = "shards %d\n"
)

// defaultFileShards is the number for a new directory. It does not depend on the
// machine, since directories move to other machines.
const defaultFileShards = 4

// shardsOfFiles returns the number of shards if the config leaves it to the
// directories: that of the first directory that has one, or else the number for new
// directories. It returns 0 if the guest has no directory to keep records in.
func (s *resolved) shardsOfFiles() (int, error) {
	for _, m := range s.Mounts {
		n, err := readShards(m.Dir)
		if n > 0 || err != nil {
			return n, err
		}
	}
	if s.keepsFiles() {
		return defaultFileShards, nil
	}
	return 0, nil
}

// readShards reads the number of shards that a directory was written with, 0 if it has
// none. Mounting the directory reports what else is wrong with it.
func readShards(dir string) (int, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, nil
	}
	defer root.Close()
	if info, err := root.Lstat(shardsName); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err == nil && !info.Mode().IsRegular() {
		return 0, mountError(Mount{Dir: dir}, fmt.Errorf("%s is not a regular file but %s: remove it", shardsName, info.Mode().Type()))
	}
	text, err := root.ReadFile(shardsName)
	if err != nil {
		return 0, mountError(Mount{Dir: dir}, err)
	}
	var n int
	if _, err := fmt.Sscanf(string(text), shardsForm, &n); err != nil || string(text) != fmt.Sprintf(shardsForm, n) || !possibleShards(n) {
		return 0, mountError(Mount{Dir: dir}, fmt.Errorf("%s begins %q: must be a line \"shards N\" with the number that the directory was written with; "+
			"write it there if you know it", shardsName, printable.Cut(text, 64)))
	}
	return n, nil
}

// checkShards compares the number of shards with that of a directory. A writable
// directory is locked by now. The host notes the number in an empty directory before
// the guest writes there. In one that has no number, or another, it notes the number
// only when the guest has opened, since the guest may refuse.
func (p *Plugin) checkShards(m Mount) error {
	written, err := readShards(m.Dir)
	switch {
	case err != nil:
		return err
	case written == p.config.Shards:
		return nil
	case vacant(m.Dir):
		if m.ReadOnly {
			return nil
		}
		return p.noteShards(m.Dir)
	case written != 0:
		p.mounts.others = append(p.mounts.others, &ShardsError{Dir: m.Dir, Written: written, Asked: p.config.Shards})
	}
	if !m.ReadOnly {
		p.mounts.unnoted = append(p.mounts.unnoted, m.Dir)
	}
	return nil
}

// admit returns an error if there is a directory of another number of shards and the
// guest does not describe that it serves any number.
func (p *Plugin) admit(d *protocol.Description) error {
	if len(p.mounts.others) == 0 || d.Reshard || d.Remote {
		return nil
	}
	return p.mounts.others[0]
}

// adopt notes the number of shards in directories that had another number, or none,
// and that the guest has opened.
func (p *Plugin) adopt() error {
	for _, other := range p.mounts.others {
		p.config.Logger.Info("the directory is served with another number of shards from now on", "plugin", p.Name(),
			"dir", other.Dir, "before", other.Written, "shards", other.Asked)
	}
	for _, dir := range p.mounts.unnoted {
		if err := p.noteShards(dir); err != nil {
			return err
		}
	}
	p.mounts.others, p.mounts.unnoted = nil, nil
	return nil
}

// noteShards writes the number into a directory. If the disk is full it only warns:
// sessions that end make room, and the next Open writes the number.
func (p *Plugin) noteShards(dir string) error {
	err := writeShards(dir, p.config.Shards)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		p.config.Logger.Warn("the disk is full: the directory does not note its number of shards", "plugin", p.Name(),
			"dir", dir, "shards", p.config.Shards, "error", err)
		return nil
	}
	if err != nil {
		return mountError(Mount{Dir: dir}, err)
	}
	return nil
}

// writeShards writes a new file and renames it, so the file is whole or unchanged.
func writeShards(dir string, n int) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	_ = root.Remove(shardsTemporary)
	f, err := root.OpenFile(shardsTemporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, shardsForm, n)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = root.Rename(shardsTemporary, shardsName)
	}
	if err != nil {
		_ = root.Remove(shardsTemporary)
		return err
	}
	return syncDir(dir)
}

// vacant reports whether a directory has no files of a guest.
func vacant(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), mount.HiddenPrefix) && e.Name() != "lost+found" {
			return false
		}
	}
	return true
}

// refuseShards returns the error of Open if err, from before or in session_open, is
// about the number of shards, and nil if not. A guest that serves any number may still
// have a reason to refuse this one.
func (p *Plugin) refuseShards(shard int, err error) *LoadError {
	if len(p.mounts.others) == 0 {
		return nil
	}
	other := p.mounts.others[0]
	if errors.Is(err, other) {
		return loadError(ErrShards, other, "%s", printable.Clean(other.Error()))
	}
	if code, ok := protocol.CodeOf(err); ok && code == abi.Invalid {
		cause := (*Error)(p.store.Failure("open", shard, err))
		return loadError(ErrShards, errors.Join(other, cause), "%s", printable.Clean(other.Error())+"; the guest says: "+cause.what())
	}
	return nil
}

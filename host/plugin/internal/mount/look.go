package mount

import (
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

// look says what is at a path. It does not follow a symbolic link there. A
// symbolic link on the way is refused with ELOOP.
//
// Its answer may be out of date a moment later. It decides about errors and
// about what is counted, never about what is reached: only os.Root decides
// that.
func (m *FS) look(n name) (wasys.Stat_t, sys.Errno) {
	if st, errno, ok := m.lookAtOnce(n.path); ok {
		return st, errno
	}
	return m.lookStepwise(n.path)
}

func (m *FS) lookStepwise(path string) (wasys.Stat_t, sys.Errno) {
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		info, err := m.root.Lstat(path[:i])
		switch {
		case err != nil:
			return wasys.Stat_t{}, m.errno(err)
		case info.Mode()&os.ModeSymlink != 0:
			return wasys.Stat_t{}, sys.ELOOP
		case !info.IsDir():
			return wasys.Stat_t{}, sys.ENOTDIR
		}
	}
	info, err := m.root.Lstat(path)
	if err != nil {
		return wasys.Stat_t{}, m.errno(err)
	}
	return wasys.NewStat_t(info), 0
}

// same reports whether two paths name one file. Where files have no numbers,
// paths that differ only in case do.
func same(a, b name, sta, stb wasys.Stat_t) bool {
	if sta.Ino == 0 && stb.Ino == 0 {
		return foldsTo(a.path, b.path)
	}
	return sta.Ino == stb.Ino && sta.Dev == stb.Dev
}

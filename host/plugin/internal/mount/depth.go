package mount

import (
	"errors"
	"io"
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// maxMoved is how many entries, at all levels, a directory may have to be moved
// deeper: they are checked while nothing else in the mount can change names.
const maxMoved = 1 << 16

// errTooDeep and errTooMany say why a directory cannot be moved deeper.
var (
	errTooDeep = errors.New("deeper than a path can name")
	errTooMany = errors.New("more than can be checked")
)

// sinks checks whether a directory can move to a place deeper than its own. Its
// contents must stay within the depth of paths, or the guest could not name them any
// more. It returns ENAMETOOLONG if they would not, and EXDEV, after which libraries
// copy, if there are too many to tell. No name changes meanwhile.
func (m *FS) sinks(from, to name) sys.Errno {
	if to.depth <= from.depth {
		return 0
	}
	dir, err := m.root.OpenRoot(from.path + "/.")
	if err != nil {
		return m.errno(err)
	}
	defer dir.Close()
	left := maxMoved
	switch err := fits(dir, maxDepth-to.depth, &left); {
	case err == errTooDeep:
		return sys.ENAMETOOLONG
	case err == errTooMany:
		return EXDEV
	case err != nil:
		return m.errno(err)
	}
	return 0
}

// fits reports whether a directory's contents are at most that many levels deep,
// looking at no more entries than are left.
func fits(dir *os.Root, levels int, left *int) error {
	below, err := namesBelow(dir, levels, left)
	if err != nil {
		return err
	}
	for _, name := range below {
		sub, err := dir.OpenRoot(name + "/.")
		if os.IsNotExist(err) {
			continue // by another process
		}
		if err != nil {
			return err
		}
		err = fits(sub, levels-1, left)
		sub.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// namesBelow returns the directories in a directory that may have that many levels.
func namesBelow(dir *os.Root, levels int, left *int) (below []string, err error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(256)
		if len(entries) > 0 && levels == 0 {
			return nil, errTooDeep
		}
		if *left -= len(entries); *left < 0 {
			return nil, errTooMany
		}
		for _, e := range entries {
			if e.IsDir() {
				below = append(below, e.Name())
			}
		}
		if err == io.EOF {
			return below, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

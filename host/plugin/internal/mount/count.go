package mount

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	// maxTreeEntries bounds a tree that is counted.
	maxTreeEntries = 1 << 24
	// maxHeld is how many nested directories are held open at once. Anything deeper
	// is reached again from the top when the rest is done: other processes make
	// trees of any depth, and the mount must be usable all the same.
	maxHeld = 128
)

// count adds up what is in a tree, without what is hidden from guests. Only regular
// files have bytes; each name of a file counts.
func count(root *os.Root) (bytes, files int64, err error) {
	c := counter{deep: []string{"."}}
	for len(c.deep) > 0 && err == nil {
		last := len(c.deep) - 1
		path := c.deep[last]
		c.deep = c.deep[:last]
		err = c.below(root, path, []string{path})
	}
	return c.bytes, c.files, err
}

type counter struct {
	bytes, files int64
	deep         []string // directories that are too deep to continue into
}

// below counts what is in a subdirectory. The names lead to it.
func (c *counter) below(dir *os.Root, name string, names []string) error {
	// The dot makes package os open the name as a directory or not at all.
	// Otherwise a pipe put there meanwhile would block.
	sub, err := dir.OpenRoot(name + "/.")
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer sub.Close()
	below, err := c.entries(sub)
	if err != nil {
		return err
	}
	for _, next := range below {
		if len(names) == maxHeld {
			c.deep = append(c.deep, strings.Join(names, "/")+"/"+next)
			continue
		}
		if err := c.below(sub, next, append(names, next)); err != nil {
			return err
		}
	}
	return nil
}

// entries counts what is directly in a directory and returns the names of its
// directories. The stream is closed before anything deeper is opened.
func (c *counter) entries(dir *os.Root) (below []string, err error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(256)
		for _, e := range entries {
			if hidden(e.Name()) {
				continue
			}
			if c.files++; c.files > maxTreeEntries {
				return nil, fmt.Errorf("more than %d files and directories: remove some, or mount without quotas", maxTreeEntries)
			}
			switch {
			case e.IsDir():
				below = append(below, e.Name())
			case e.Type().IsRegular():
				info, err := e.Info()
				if os.IsNotExist(err) {
					continue
				}
				if err != nil {
					return nil, err
				}
				c.bytes += info.Size()
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

package mount

import (
	"fmt"
	"io"
	"os"
)

// Bounds of a tree that is counted. A guest can build a deep one by moving
// directories into each other, and each level costs the host a descriptor.
const (
	maxTreeDepth   = 256
	maxTreeEntries = 1 << 24
)

// count adds up what is in a tree, without what is hidden from guests. Only
// regular files have bytes; each name of a file counts.
func count(root *os.Root) (bytes, files int64, err error) {
	c := counter{}
	err = c.tree(root, 0)
	return c.bytes, c.files, err
}

type counter struct{ bytes, files int64 }

func (c *counter) tree(dir *os.Root, depth int) error {
	if depth > maxTreeDepth {
		return fmt.Errorf("%s is more than %d directories deep: move or remove it", dir.Name(), maxTreeDepth)
	}
	below, err := c.entries(dir)
	if err != nil {
		return err
	}
	for _, name := range below {
		// The dot makes package os open the name as a directory or not at
		// all; a pipe put there meanwhile would block otherwise.
		sub, err := dir.OpenRoot(name + "/.")
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		err = c.tree(sub, depth+1)
		sub.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// entries counts what is directly in a directory and returns the names of the
// directories. The stream is closed before anybody goes deeper.
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

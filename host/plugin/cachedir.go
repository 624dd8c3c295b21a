package plugin

import (
	"fmt"
	"os"
	"path/filepath"
)

// prepareCacheDir decides where compiled code is kept; "" means in memory only. A
// directory that is not safe, or cannot be had, costs time to compile and is no
// reason not to run: the log says what is wrong with it.
func prepareCacheDir(c *settled) string {
	if c.NoCache {
		return ""
	}
	dir, err := c.CacheDir, error(nil)
	if dir == "" {
		if dir, err = os.UserCacheDir(); err == nil {
			dir = filepath.Join(dir, "waddle")
		}
	}
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err == nil {
		dir, err = privateDir(dir)
	}
	if err != nil {
		c.Logger.Warn("compiled code is kept in memory only", "plugin", c.Name, "error", fmt.Errorf("%w: %w", ErrCache, err))
		return ""
	}
	return dir
}

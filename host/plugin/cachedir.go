package plugin

import (
	"fmt"
	"os"
	"path/filepath"
)

// prepareCacheDir returns the directory for compiled code, "" for memory only. If a
// directory is not safe or cannot be made, the guest runs all the same and takes
// longer to start. The log says what is wrong with the directory.
func prepareCacheDir(c *resolved) string {
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
		c.Logger.Warn("compiled code is kept in memory only", "plugin", c.name, "error", fmt.Errorf("%w: %w", ErrCache, err))
		return ""
	}
	return dir
}

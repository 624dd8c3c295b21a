//go:build unix && !linux

package mount

import (
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
)

func datasync(f *os.File) error { return f.Sync() }

// futimens leaves it to the path, which wazero then tries.
func futimens(*os.File, int64, int64) error { return sys.ENOSYS }

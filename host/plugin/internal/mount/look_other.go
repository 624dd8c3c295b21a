//go:build !linux

package mount

import (
	"os"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasys "github.com/tetratelabs/wazero/sys"
)

type top struct{}

func (*top) open(*os.Root) error { return nil }
func (*top) close()              {}

func (*FS) lookAtOnce(string) (st wasys.Stat_t, errno sys.Errno, ok bool) { return st, 0, false }

func (m *FS) openAt(path string, flags int) (opened, error) { return m.openStepwise(path, flags) }

func (*FS) seemsRegular(string) bool { return false }

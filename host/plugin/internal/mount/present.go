package mount

import (
	"errors"
	"fmt"
)

// ErrMoved is returned, wrapped, when the directory is not where it was: see
// [FS.Present].
var ErrMoved = errors.New("mount: the directory has been removed or moved")

// Present returns nil if the directory is still found under the name by which it was
// opened. A moved directory can still be used, and so can open files of a removed
// one, but nobody will find what is written there. It asks the system each time,
// which takes about a microsecond. Where the system does not tell, the directory
// counts as present.
func (m *FS) Present() error {
	if m.closed.Load() || m.place.same() {
		return nil
	}
	return fmt.Errorf("%w: %s is not the directory that was opened; move it back, or open the store again", ErrMoved, m.dir)
}

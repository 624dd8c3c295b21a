package mount

import (
	"errors"
	"fmt"
)

// ErrMoved is what [FS.Present] returns, wrapped, if the directory is not where it
// was.
var ErrMoved = errors.New("mount: the directory has been removed or moved")

// Present returns nil if the directory is still found under the name that it was
// opened by. One that was moved can still be used, and one that was removed as
// well as far as files are open, but nobody will find there what is written. It asks
// the system each time, which takes about a microsecond. Where the system does not
// tell, it is present.
func (m *FS) Present() error {
	if m.closed.Load() || m.place.same() {
		return nil
	}
	return fmt.Errorf("%w: %s is not the directory that was opened; move it back, or open the store again", ErrMoved, m.dir)
}

package mount

import (
	"sync"

	"github.com/tetratelabs/wazero/experimental/sys"
)

// maxSyncs is how many syncs run in the background of a mount at once. Each takes a
// thread of the process. More gain nothing: a file system gathers into one commit
// what arrives while the last is written.
const maxSyncs = 64

// behind is a sync in the background, of a file or directory that was opened with
// O_NONBLOCK. Datasync begins it and answers EAGAIN until it is over, and then its
// outcome. It is for what lay in the file when it began. Sync waits, as it always
// does.
type behind struct {
	slots chan struct{} // of the mount

	// mu is held by Sync while it waits: one instance calls, and another goroutine
	// may close the mount.
	mu      sync.Mutex
	outcome chan error // nil if none was begun, or if its outcome was told
	began   uint64     // the changes of the file when it began
}

// ask is Datasync. changes counts those of the file so far.
func (b *behind) ask(changes uint64, sync func() error) (over bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outcome == nil {
		outcome := make(chan error, 1)
		b.outcome, b.began = outcome, changes
		go func() {
			b.slots <- struct{}{}
			defer func() { <-b.slots }()
			outcome <- sync()
		}()
		return false, nil
	}
	select {
	case err := <-b.outcome:
		b.outcome = nil
		return true, err
	default:
		return false, nil
	}
}

// wait waits for a sync that was begun, if there is one. enough says that it was for
// all that lies in the file.
func (b *behind) wait(changes uint64) (enough bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outcome == nil {
		return false, nil
	}
	err = <-b.outcome
	b.outcome = nil
	return b.began == changes, err
}

// syncBehind is Datasync of what may be synced in the background.
func syncBehind(b *behind, changes uint64, sync func() error, errno func(error) sys.Errno) sys.Errno {
	if b == nil {
		return errno(sync())
	}
	over, err := b.ask(changes, sync)
	if !over {
		return sys.EAGAIN
	}
	return errno(err)
}

// syncAll is Sync of what may be synced in the background. A sync that failed is told
// before another is tried, which would not find what the system has forgotten.
func syncAll(b *behind, changes uint64, sync func() error) error {
	if b != nil {
		if enough, err := b.wait(changes); enough || err != nil {
			return err
		}
	}
	return sync()
}

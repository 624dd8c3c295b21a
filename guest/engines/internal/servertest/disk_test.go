package servertest

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs/crash"
	"github.com/waddle-sessions/waddle/guest/engines/keyfolder/folder"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

var ctx = context.Background()

var engines = map[string]func(disk *crash.Disk) guest.Engine{
	"keyfolder": func(disk *crash.Disk) guest.Engine { return &keyfolder{disk: disk} },
	"dynfile":   func(disk *crash.Disk) guest.Engine { return &dynfile{disk: disk} },
}

type keyfolder struct {
	*folder.Store
	disk *crash.Disk
}

func (e *keyfolder) Open(c *guest.Config) (err error) {
	e.Store, err = folder.Open(e.disk, folder.Options{Shard: c.Shard(), Shards: c.Shards(), Scratch: guest.Scratch})
	return err
}

type dynfile struct {
	*segments.Store
	disk *crash.Disk
}

func (e *dynfile) Open(c *guest.Config) (err error) {
	e.Store, err = segments.Open(e.disk, segments.Options{
		Shard: c.Shard(), Shards: c.Shards(), SegmentBytes: segments.MinSegment, Random: rand.Uint64,
	})
	return err
}

// committed makes every write durable before it returns, as a host does with
// durability at every commit.
type committed struct{ store.Store }

func (c committed) Unwrap() store.Store { return c.Store }

func (c committed) Set(ctx context.Context, w store.Write) error {
	return c.saved(ctx, w.Now, c.Store.Set(ctx, w))
}

func (c committed) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	return c.saved(ctx, now, store.Touch(ctx, c.Store, key, expires, now))
}

func (c committed) Delete(ctx context.Context, key []byte, now store.Millis) error {
	return c.saved(ctx, now, c.Store.Delete(ctx, key, now))
}

func (c committed) saved(ctx context.Context, now store.Millis, err error) error {
	if err != nil {
		return err
	}
	return store.Save(ctx, c.Store, now)
}

// noFault is so rare that it never happens.
const noFault = 1 << 60

// unreliable is a disk under a store of one shard. Only the store uses it while the
// store is open.
type unreliable struct {
	disk  *crash.Disk
	rng   *rand.Rand
	fault atomic.Int64 // one change in that many fails; 0 for none, and no power cut either
	off   chan struct{}
	once  *sync.Once
}

// open starts the machine. Once there are faults, the power goes at the cut-th change.
func (u *unreliable) open(t *testing.T, name string, cut int) store.Store {
	t.Helper()
	u.fault.Store(0)
	u.off, u.once = make(chan struct{}), new(sync.Once)
	s, err := guesttest.Open(ctx, func(string) guest.Engine { return engines[name](u.disk) },
		guest.Info{Name: name, CAS: true}, nil, storetest.Setup{Shards: 1})
	require.NoError(t, err)
	changes := 0
	u.disk.Hook(func(op crash.Op) (int, error) {
		if !op.Change() {
			return 0, nil
		}
		n := u.fault.Load()
		if n == 0 {
			return 0, nil
		}
		if changes++; changes == cut {
			u.disk.CutAt(1)
			u.once.Do(func() { close(u.off) })
			return 0, nil
		}
		if u.rng.Int64N(n) != 0 {
			return 0, nil
		}
		err := []error{syscall.EIO, syscall.ENOSPC}[u.rng.IntN(2)]
		if op.Kind == crash.Write && op.Size > 0 {
			return u.rng.IntN(op.Size), err
		}
		return 0, err
	})
	return committed{s}
}

// gone reports whether the power is gone.
func (u *unreliable) gone() bool {
	select {
	case <-u.off:
		return true
	default:
		return false
	}
}

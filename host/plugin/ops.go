package plugin

import (
	"context"
	"fmt"
	"iter"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

var (
	_ store.Store       = (*Plugin)(nil)
	_ store.Bounded     = (*Plugin)(nil)
	_ store.Toucher     = (*Plugin)(nil)
	_ store.Clearer     = (*Plugin)(nil)
	_ store.Saver       = (*Plugin)(nil)
	_ store.Sweeper     = (*Plugin)(nil)
	_ store.Lister      = (*Plugin)(nil)
	_ store.Snapshotter = (*Plugin)(nil)
	_ store.Restorer    = (*Plugin)(nil)
	_ store.Closer      = (*Plugin)(nil)
)

// Get implements [store.Store]. It allocates the value that it returns and
// nothing else.
func (p *Plugin) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return p.store.GetAtMost(ctx, key, now, abi.MaxValue)
}

// GetAtMost implements [store.Bounded]. A value that is too large stays in the
// guest's memory.
func (p *Plugin) GetAtMost(ctx context.Context, key []byte, now store.Millis, most int) ([]byte, error) {
	return p.store.GetAtMost(ctx, key, now, most)
}

// Set implements [store.Store].
func (p *Plugin) Set(ctx context.Context, w store.Write) error { return p.store.Set(ctx, w) }

// Touch implements [store.Toucher]. Of a guest that cannot do it by itself, the
// record is read and written, in one turn of its shard.
func (p *Plugin) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	return p.store.Touch(ctx, key, expires, now)
}

// Delete implements [store.Store].
func (p *Plugin) Delete(ctx context.Context, key []byte, now store.Millis) error {
	return p.store.Delete(ctx, key, now)
}

// Clear implements [store.Clearer]. Every shard is cleared, also if one fails; the
// errors are joined. A guest whose records lie elsewhere is asked once, as it is for
// what else is about all records.
func (p *Plugin) Clear(ctx context.Context, now store.Millis) error { return p.store.Clear(ctx, now) }

// Sleep closes every instance and gives back what it takes. The next call that needs
// one brings it up again, with all records: a guest that may write to a mount is saved
// first and finds its files, and of any other the host keeps what session_snapshot
// gives. A guest that has neither, or no session_restore, goes on, and Sleep fails with
// [store.ErrUnsupported]. See [Config.SleepAfter].
func (p *Plugin) Sleep(ctx context.Context) error {
	if !p.config.keepsFiles() && !p.remote() && (!p.has(abi.ExportSnapshot) || !p.has(abi.ExportRestore)) {
		if p.store.Resting() {
			return ctx.Err()
		}
		return fmt.Errorf("plugin %s: sleeping needs the exports %s and %s: %w", p.config.Name,
			abi.ExportSnapshot, abi.ExportRestore, store.ErrUnsupported)
	}
	err := p.store.Sleep(ctx, p.judged())
	p.chores.rest()
	return err
}

// Save implements [store.Saver]. Every shard is saved, also if one fails or hangs; the
// errors are joined. The snapshot, if there is one, is written with what the
// shards hold; of one that failed it keeps what it had before. After a leap of the
// host's clock nothing is dropped that has only expired by it.
func (p *Plugin) Save(ctx context.Context, now store.Millis) error { return p.store.Save(ctx, now) }

// Sweep implements [store.Sweeper]. Each shard looks at its part of max
// records, in one call, during which its other operations wait. It fails with
// [store.ErrUnsupported] if the guest does not sweep. After a leap of the host's clock
// nothing is removed that has only expired by it.
func (p *Plugin) Sweep(ctx context.Context, max int, now store.Millis) (removed int, err error) {
	return p.store.Sweep(ctx, max, now)
}

// Keys implements [store.Lister]. The keys are the caller's. No lock is held
// while the caller has one. It fails with [store.ErrUnsupported] if the guest
// cannot enumerate, with [store.ErrUnavailable] if a shard's instance is
// replaced before the shard is done, and with [ErrEndless] if it gives more than
// the guest has room for.
func (p *Plugin) Keys(ctx context.Context, now store.Millis) iter.Seq2[[]byte, error] {
	return p.store.Keys(ctx, now)
}

// Snapshot implements [store.Snapshotter], with the same promises as Keys.
func (p *Plugin) Snapshot(ctx context.Context, now store.Millis) iter.Seq2[store.Record, error] {
	return p.store.Snapshot(ctx, now)
}

// Restore implements [store.Restorer]. Records go to the guest in batches if
// it exports session_restore, else one by one.
func (p *Plugin) Restore(ctx context.Context, records iter.Seq2[store.Record, error], now store.Millis) error {
	return p.store.Restore(ctx, records, now)
}

// Recycle replaces every instance by a new one that holds the same records,
// shard by shard. It gives back memory, which a guest can only ever take more
// of, and needs as much again for one shard while it works. Operations on that
// shard wait.
//
// A guest that may write to a mount saves, and the next instance finds its files.
// So it is with one whose records lie elsewhere. Any other must have snapshot and
// restore, or Recycle fails with [store.ErrUnsupported].
// If a shard cannot be carried over it keeps its instance, the other shards are
// done all the same, and the errors are joined. A context that is cancelled
// stops it, and the shard at which it is then keeps its instance, too.
func (p *Plugin) Recycle(ctx context.Context) error {
	if !p.config.keepsFiles() && !p.remote() && (!p.has(abi.ExportSnapshot) || !p.has(abi.ExportRestore)) {
		return fmt.Errorf("plugin %s: recycling needs the exports %s and %s: %w", p.config.Name,
			abi.ExportSnapshot, abi.ExportRestore, store.ErrUnsupported)
	}
	return p.store.Recycle(ctx, p.judged())
}

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

// Get implements [store.Store]. It allocates only the value that it returns.
func (p *Plugin) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return p.store.GetInto(ctx, key, now, nil, abi.MaxValue)
}

// GetInto implements [store.Bounded]. A value that is too large stays in the
// guest's memory.
func (p *Plugin) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	return p.store.GetInto(ctx, key, now, into, most)
}

// Set implements [store.Store].
func (p *Plugin) Set(ctx context.Context, w store.Write) error { return p.store.Set(ctx, w) }

// Touch implements [store.Toucher]. If the guest cannot touch, the host reads and
// writes the record, in one turn of its shard.
func (p *Plugin) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	return p.store.Touch(ctx, key, expires, now)
}

// Delete implements [store.Store].
func (p *Plugin) Delete(ctx context.Context, key []byte, now store.Millis) error {
	return p.store.Delete(ctx, key, now)
}

// Clear implements [store.Clearer]. It clears every shard even if one fails, and joins
// the errors. If a guest's records lie elsewhere it asks one instance, as do all other
// operations on all records but Save.
func (p *Plugin) Clear(ctx context.Context, now store.Millis) error { return p.store.Clear(ctx, now) }

// Sleep closes every instance and frees its resources. The next call that needs an
// instance starts it again, with all records. The host saves a guest that may write to
// a mount first, and the guest finds its files; of any other the host keeps the records
// that session_snapshot returns. A guest without mount and without session_snapshot or
// session_restore goes on, and Sleep fails with [store.ErrUnsupported]; so does one for
// whose records [HostConfig].Memory has no room, with [ErrBudget]. Of a plugin that
// shares instances the host keeps what the guest's memory has changed, without a call of
// it. See [Config.SleepAfter].
func (p *Plugin) Sleep(ctx context.Context) error {
	if !p.shared() && !p.config.keepsFiles() && !p.remote() && (!p.has(abi.ExportSnapshot) || !p.has(abi.ExportRestore)) {
		if p.store.Resting() {
			return ctx.Err()
		}
		return fmt.Errorf("plugin %s: sleeping needs the exports %s and %s: %w", p.Name(),
			abi.ExportSnapshot, abi.ExportRestore, store.ErrUnsupported)
	}
	err := p.store.Sleep(ctx, p.judged())
	p.chores.rest()
	return err
}

// Save implements [store.Saver]. It saves every shard even if one fails or hangs, and
// joins the errors. If there is a snapshot, it is written with the records of the
// shards, and keeps the previous records of a shard that failed. After a leap of the
// host's clock no record is dropped that has expired only by that clock.
func (p *Plugin) Save(ctx context.Context, now store.Millis) error { return p.store.Save(ctx, now) }

// Sweep implements [store.Sweeper]. Each shard looks at its part of max records, in
// one call, while its other operations wait. Sweep fails with [store.ErrUnsupported]
// if the guest does not sweep. After a leap of the host's clock it removes no record
// that has expired only by that clock.
func (p *Plugin) Sweep(ctx context.Context, max int, now store.Millis) (removed int, err error) {
	return p.store.Sweep(ctx, max, now)
}

// Keys implements [store.Lister]. The keys belong to the caller. No lock is held
// while the caller handles one. Keys fails with [store.ErrUnsupported] if the guest
// cannot enumerate, with [store.ErrUnavailable] if a shard's instance is replaced
// before the shard is done, and with [ErrEndless] if the guest returns more than it
// has room for.
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
// shard by shard. It frees memory, which a guest by itself can only take more of.
// While it works it needs as much again for one shard, and operations on that shard
// wait.
//
// A guest that may write to a mount, or whose records lie elsewhere, saves, and the
// next instance finds its records. Any other must have snapshot and restore, or
// Recycle fails with [store.ErrUnsupported]. A shard that cannot be carried over keeps
// its instance; Recycle goes on with the others and joins the errors. A cancelled
// context stops it, and the shard in progress keeps its instance, too.
func (p *Plugin) Recycle(ctx context.Context) error {
	if !p.config.keepsFiles() && !p.remote() && (!p.has(abi.ExportSnapshot) || !p.has(abi.ExportRestore)) {
		return fmt.Errorf("plugin %s: recycling needs the exports %s and %s: %w", p.Name(),
			abi.ExportSnapshot, abi.ExportRestore, store.ErrUnsupported)
	}
	return p.store.Recycle(ctx, p.judged())
}

// Resting reports whether the plugin has no instance: none was needed so far, or it
// sleeps. It asks no guest and waits for no call.
func (p *Plugin) Resting() bool { return p.store.Resting() }

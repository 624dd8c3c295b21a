package plugin

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Durability is when a plugin has its guest make durable what it was given:
// what a crash can take. What "durable" means is up to the guest: for one that
// keeps files, the disk has them.
type Durability int

// The durabilities, and what is lost if the process, or the machine, ends
// without warning. In any case Save and Close make everything durable.
const (
	// DurabilityDefault is DurabilityInterval for a guest that may write to a
	// mount, and DurabilityClose for any other.
	DurabilityDefault Durability = iota
	// DurabilityClose: everything since the plugin was opened, or since the
	// last Save.
	DurabilityClose
	// DurabilityInterval: at most what was written within SaveInterval.
	DurabilityInterval
	// DurabilityCommit: nothing. Every write has been made durable when it
	// returns; writes of several goroutines share the effort.
	DurabilityCommit
	durabilities
)

// The names of the durabilities, as settings spell them.
var durabilityNames = [durabilities]string{"default", "close", "interval", "commit"}

// String returns the name of the durability.
func (d Durability) String() string {
	if d < 0 || d >= durabilities {
		return fmt.Sprintf("Durability(%d)", int(d))
	}
	return durabilityNames[d]
}

// ParseDurability returns the durability of a name: close, interval or commit.
// It returns [ErrConfig] for any other.
func ParseDurability(name string) (Durability, error) {
	for d := DurabilityClose; d < durabilities; d++ {
		if durabilityNames[d] == name {
			return d, nil
		}
	}
	return 0, configError("the durability %q: it must be commit, interval or close", name)
}

const defaultSaveInterval = time.Second

// progress is how far a shard has got in making writes durable.
type progress struct {
	// written counts the writes of the shard. It grows under the shard's lock,
	// and is read without: a shard that hangs can still be told from one that
	// has nothing to save.
	written  atomic.Uint64
	snapshot uint64 // of written, when a snapshot was begun; the saver's

	// arriving counts the writers that want the shard's lock, where every
	// write is saved.
	arriving atomic.Int32

	// mu is held by whoever has the guest save; those that wait for it find
	// their write saved with the others'.
	mu         sync.Mutex
	saved      uint64 // of written
	generation uint64 // of the instance that saved

	flushing sync.Mutex // is held by whoever has the guest save in steps
}

// has reports whether a write is durable, and note that it is.
func (p *progress) has(m mark) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.saved >= m.written && p.generation == m.generation
}

func (p *progress) note(m mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.generation < m.generation || p.generation == m.generation && p.saved < m.written {
		p.saved, p.generation = m.written, m.generation
	}
}

// mark is a write that is to be made durable: the instance that took it, and
// how many writes there were.
type mark struct{ written, generation uint64 }

// wrote counts a write. The shard's lock is held.
func (s *shard) wrote() mark {
	return mark{s.progress.written.Add(1), s.generation}
}

// mark is the last write so far.
func (s *shard) mark(ctx context.Context) (mark, error) {
	if _, err := s.lock(ctx); err != nil {
		return mark{}, err
	}
	defer s.unlock()
	return mark{s.progress.written.Load(), s.generation}, nil
}

// settle makes a write durable if the plugin promises that of each.
func (s *shard) settle(m mark, now store.Millis) error {
	if s.plugin.config.Durability != DurabilityCommit {
		return nil
	}
	return s.saveUpTo(m, s.plugin.notAfterJudged(now))
}

// maxTurns bounds how long a save lets others go first.
const maxTurns = 1000

// arrive and leave stand around a write.
func (s *shard) arrive() {
	if s.plugin.config.Durability == DurabilityCommit {
		s.progress.arriving.Add(1)
	}
}

func (s *shard) leave() {
	if s.plugin.config.Durability == DurabilityCommit {
		s.progress.arriving.Add(-1)
	}
}

// saveUpTo has the guest save unless it did so since the write. A write that
// one instance took cannot be made durable by the next one, which does not
// know what became of it.
func (s *shard) saveUpTo(m mark, now store.Millis) error {
	p := &s.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.saved >= m.written && p.generation == m.generation {
		return nil
	}
	// Who waited while the last save ran goes first, and shares this one. A
	// mutex alone would as a rule give the shard to whoever asks last, to us.
	for turn := 0; turn < maxTurns && p.arriving.Load() > 0; turn++ {
		runtime.Gosched()
	}
	in, err := s.lock(context.Background())
	if err != nil {
		return fmt.Errorf("the write was not made durable: %w", err)
	}
	defer s.unlock()
	if s.generation != m.generation {
		return s.newError("save", &fault{kind: ErrTrap, message: "the instance that took the write failed before it was made durable"})
	}
	upTo := p.written.Load()
	if err := s.done(opSave, in, in.doTime(in.save, now)); err != nil {
		return fmt.Errorf("the write was not made durable: %w", err)
	}
	p.saved, p.generation = upTo, m.generation
	return nil
}

// saveLoop saves what was written, shard by shard, until it is told to stop.
func (p *Plugin) saveLoop(ctx context.Context) {
	ticker := time.NewTicker(p.config.SaveInterval)
	defer ticker.Stop()
	busy := make([]atomic.Bool, len(p.shards))
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if p.snapshots != nil {
			p.saveSnapshot(ctx)
			continue
		}
		p.inTurn(ctx, busy, func(s *shard) {
			if err := s.saveWritten(ctx, p.judged()); err != nil && !errors.Is(err, context.Canceled) {
				p.complain("what was written could not be made durable", err, "shard", s.index)
			}
		})
	}
}

// inTurn runs f for one shard after the other. One that takes long is left to
// itself, and left out until it has come back: a shard that hangs must not keep
// the others from what is done for them.
func (p *Plugin) inTurn(ctx context.Context, busy []atomic.Bool, f func(*shard)) {
	for i, s := range p.shards {
		if ctx.Err() != nil {
			return
		}
		if busy[i].Swap(true) {
			continue
		}
		done := make(chan struct{})
		p.loops.Go(func() {
			defer close(done)
			defer busy[i].Store(false)
			f(s)
		})
		patience := time.NewTimer(p.config.patience)
		select {
		case <-done:
		case <-patience.C:
		case <-ctx.Done():
		}
		patience.Stop()
	}
}

// saveSnapshot saves everything if there was a write since the last time.
func (p *Plugin) saveSnapshot(ctx context.Context) {
	written := false
	for _, s := range p.shards {
		if n := s.progress.written.Load(); n != s.progress.snapshot {
			s.progress.snapshot, written = n, true
		}
	}
	if !written {
		return
	}
	if err := p.saveAll(ctx); err != nil && !errors.Is(err, context.Canceled) {
		p.complain("the snapshot could not be written, or not as a whole", err)
		for _, s := range p.shards {
			s.progress.snapshot = 0
		}
	}
}

// saveAll is Save that waits for a shard for so long and no longer.
func (p *Plugin) saveAll(ctx context.Context) error {
	now := p.judged()
	patient, cancel := context.WithTimeout(ctx, p.config.patience)
	defer cancel()
	saved := p.each(patient, opSave, func(in *instance) error { return in.doTime(in.save, now) })
	return errors.Join(saved, p.snapshots.write(ctx, p, now))
}

// saveWritten saves if there was a write since the last time.
func (s *shard) saveWritten(ctx context.Context, now store.Millis) error {
	m, err := s.mark(ctx)
	if err != nil || m.written == 0 {
		return err
	}
	able, err := s.flush(ctx, m, now)
	switch {
	case !able:
		return s.saveUpTo(m, now)
	case err != nil:
		return fmt.Errorf("the write was not made durable: %w", err)
	}
	return nil
}

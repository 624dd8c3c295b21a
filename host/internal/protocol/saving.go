package protocol

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

// Save implements [store.Saver]. It saves every shard that was ever open, even if one
// fails or hangs, and joins the errors. Where records are stored elsewhere this is no
// different: what an instance can promise may hold for its own connection. It copies what the shards hold to the archive,
// if there is one; for a shard that failed the archive keeps its previous copy. Save
// drops no record that has expired only because the host's clock leapt.
func (st *Store) Save(ctx context.Context, now store.Millis) error {
	now = st.config.judge(now)
	err := st.each(ctx, opSave, func(_ *shard, inst *runner) error { return inst.Save(now) }, func(s *shard) error {
		// In steps as far as possible. An error that the guest answers comes again
		// when the rest is saved.
		m, err := s.mark(ctx)
		if err != nil {
			return err
		}
		_, answered, err := s.flush(ctx, m, func() store.Millis { return now })
		if answered {
			return nil
		}
		return err
	})
	if st.archive == nil || errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, st.copyAll(ctx, now))
}

// progress is how far a shard's writes are durable.
type progress struct {
	// written counts the writes of the shard. It grows under the shard's lock and
	// is read without it: a shard that hangs can still be told from one with
	// nothing to save.
	written atomic.Uint64
	copied  uint64 // written as the last copy began; only the saver uses it

	// arriving counts the writers that want the shard's lock, if every write is
	// saved.
	arriving atomic.Int32

	// mu guards these. One goroutine makes the guest save. The others wait for over, and
	// find their writes saved with its own, or the next of them saves.
	mu         sync.Mutex
	saving     bool
	over       sync.Cond
	saved      uint64        // how many of written are durable
	generation uint64        // of the instance that saved
	took       time.Duration // of the last save
	lost       lostWrites
	shared     bool // the last save made several writes durable

	flushing sync.Mutex // held by the goroutine that makes the guest save in steps
}

// has reports whether a write is durable, and note records that it is.
func (p *progress) has(m mark) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return mark{p.saved, p.generation}.covers(m)
}

func (p *progress) note(m mark) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.generation < m.generation || p.generation == m.generation && p.saved < m.written {
		p.saved, p.generation = m.written, m.generation
	}
}

// mark identifies a write to make durable: the instance that took it, and the
// number of writes up to it.
type mark struct{ written, generation uint64 }

// covers reports whether another write is durable if this one is.
func (m mark) covers(other mark) bool {
	return m.generation == other.generation && m.written >= other.written
}

// wrote counts a write. The shard's lock is held.
func (s *shard) wrote() mark {
	return mark{s.progress.written.Add(1), s.generation}
}

// written returns the last write so far. The shard's lock is held.
func (s *shard) written() mark { return mark{s.progress.written.Load(), s.generation} }

// mark returns the last write so far.
func (s *shard) mark(ctx context.Context) (mark, error) {
	if _, err := s.lock(ctx); err != nil {
		return mark{}, err
	}
	defer s.unlock()
	return s.written(), nil
}

// maxTurns bounds how often a save yields to other goroutines.
const maxTurns = 1000

// gather waits for writers that want the shard's lock, so that the next save is theirs too: a moment,
// and then for as long as that is cheap beside another save. Those that shared the last save go on
// only now, and may write again at once.
func (p *progress) gather() {
	for turn := 0; p.shared && turn < turnsAtLock && p.arriving.Load() == 0; turn++ {
		runtime.Gosched()
	}
	for range maxTurns {
		if p.arriving.Load() == 0 {
			return
		}
		runtime.Gosched()
	}
	until := time.Now().Add(min(p.took/2, mostPause))
	for p.arriving.Load() > 0 && time.Now().Before(until) {
		time.Sleep(gatherPause)
	}
}

// gatherPause is how often gather looks.
const gatherPause = 50 * time.Microsecond

// arrive and leave enclose a write.
func (s *shard) arrive() {
	if s.store.config.SaveEach {
		s.progress.arriving.Add(1)
	}
}

func (s *shard) leave() {
	if s.store.config.SaveEach {
		s.progress.arriving.Add(-1)
	}
}

// lostWrites are those that the last save that failed was to make durable. A guest may forget them
// then, as one whose connection to a server has ended, and its next save says nothing about them.
type lostWrites struct {
	after uint64 // which were durable before
	upTo  mark
	err   error // nil for none
}

// saveUpTo makes the guest save unless it has saved since the write. A new instance
// cannot make a write durable that the previous one took, since it does not know
// the write's fate. A save that fails does so for all the writes that it was for.
func (s *shard) saveUpTo(m mark, now store.Millis) error {
	if must, err := s.progress.mustSave(m, true); !must {
		return err
	}
	return s.saveNow(m, now)
}

// saveAgain is saveUpTo for whoever does not wait for a single write.
func (s *shard) saveAgain(m mark, now store.Millis) error {
	if must, err := s.progress.mustSave(m, false); !must {
		return err
	}
	return s.saveNow(m, now)
}

// mustSave waits until the fate of a write is known or nobody saves, and reports whether the caller
// must do so now. A writer is told that its write may be lost.
func (p *progress) mustSave(m mark, writer bool) (must bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case writer && p.lost.err != nil && p.lost.upTo.covers(m) && m.written > p.lost.after:
			return false, p.lost.err
		case (mark{p.saved, p.generation}).covers(m):
			return false, nil
		case !p.saving:
			p.saving = true
			return true, nil
		}
		p.over.Wait()
	}
}

// ends is called when a save is over that was for the writes up to one, which may be none.
func (p *progress) ends(upTo mark, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saving = false
	switch {
	case upTo.written == 0:
	case err != nil:
		p.lost = lostWrites{after: p.saved, upTo: upTo, err: err}
		if p.generation != upTo.generation {
			p.lost.after = 0
		}
	default:
		p.shared = upTo.written > p.saved+1
		p.saved, p.generation, p.took = upTo.written, upTo.generation, took
	}
	p.over.Broadcast()
}

// saveNow makes the guest save, which makes a write durable.
func (s *shard) saveNow(m mark, now store.Millis) (err error) {
	var upTo mark
	took := time.Duration(-1) // until it has succeeded
	defer func() {
		if took < 0 && err == nil {
			upTo = mark{} // nothing was tried, or the guest is Go code that panics
		}
		s.progress.ends(upTo, took, err)
	}()
	s.progress.gather()
	inst, err := s.lock(context.Background())
	if err != nil {
		return fmt.Errorf("the write was not made durable: %w", err)
	}
	defer s.unlock()
	if s.durable.covers(m) {
		return nil
	}
	if s.generation != m.generation {
		return s.newError("save", &Fault{Kind: ErrTrap, Message: "the instance that took the write failed before it was made durable"})
	}
	upTo = s.written()
	began := time.Now()
	if err := s.done(opSave, inst, inst.Save(now)); err != nil {
		return fmt.Errorf("the write was not made durable: %w", err)
	}
	took = time.Since(began)
	return nil
}

// SaveAll is a step of saving for a store with an archive: it copies everything if
// there was a write since the last step. It waits for shards no longer than
// [Config].Patience. It logs errors.
func (st *Store) SaveAll(ctx context.Context, now store.Millis) error {
	written := false
	for _, s := range st.shards {
		if n := s.progress.written.Load(); n != s.progress.copied {
			s.progress.copied, written = n, true
		}
	}
	if !written {
		return nil
	}
	err := st.saveAll(ctx, now)
	if err != nil && !errors.Is(err, context.Canceled) {
		st.Complain("the snapshot was not written, or only in part", err)
		for _, s := range st.shards {
			s.progress.copied = 0
		}
	}
	return err
}

func (st *Store) saveAll(ctx context.Context, now store.Millis) error {
	patient, cancel := context.WithTimeout(ctx, st.config.Patience)
	defer cancel()
	saved := st.each(patient, opSave, func(_ *shard, inst *runner) error { return inst.Save(now) })
	return errors.Join(saved, st.copyAll(ctx, now))
}

// Unsaved reports whether a step of saving may have work for a shard. It does not
// wait.
func (st *Store) Unsaved(shard int) bool {
	if st.shards[shard].resting() {
		return false
	}
	p := &st.shards[shard].progress
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.saving || p.written.Load() > p.saved
}

// SaveShard is a step of saving: it makes durable the writes to a shard since the last
// step. It logs errors.
func (st *Store) SaveShard(ctx context.Context, shard int, now func() store.Millis) error {
	err := st.shards[shard].saveWritten(ctx, now)
	if err != nil && !errors.Is(err, context.Canceled) {
		st.Complain("writes could not be made durable", err, "shard", shard)
	}
	return err
}

// saveWritten saves if there was a write since the last time.
func (s *shard) saveWritten(ctx context.Context, now func() store.Millis) error {
	if s.resting() {
		return nil
	}
	if _, err := s.lockAwake(ctx); err != nil {
		if err == errAsleep {
			return nil
		}
		return err
	}
	m, durable := s.written(), s.durable
	s.unlock()
	s.progress.note(durable)
	if m.written == 0 {
		return nil
	}
	able, _, err := s.flush(ctx, m, now)
	switch {
	case !able:
		return s.saveAgain(m, now())
	case err != nil:
		return fmt.Errorf("the write was not made durable: %w", err)
	}
	return nil
}

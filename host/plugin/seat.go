package plugin

import (
	"errors"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

// seat is a guest that takes turns with others on the executors of their module. What it is
// is its memory, its globals and its exchange buffer. It begins as the module's [base].
type seat struct {
	instance
	pool    *pool
	room    seatMemory
	against *image.Image // that it sleeps as a delta of
	globals []uint64     // while it is on no executor

	recent     atomic.Bool // used since seats last looked
	list       *seatList   // guarded by seats.mu, as are its neighbours
	prev, next *seat
}

var (
	_ protocol.Instance   = (*seat)(nil)
	_ protocol.Sleeper    = (*seat)(nil)
	_ protocol.Registered = (*seat)(nil)
	_ protocol.Batcher    = (*seat)(nil)
)

// largeGuest is from how many bytes of its own an idle guest stays awake, unless its room is
// needed or it is told to sleep. Waking it would take milliseconds.
const largeGuest = 4 << 20

// errSmall is that a guest may have less memory than what it begins as.
var errSmall = errors.New("it may have less memory than the module's guests begin with")

// newSeat makes a seat on which nothing has been called yet.
func newSeat(m *machine, shard int) (*seat, error) {
	p := m.pool
	if err := p.base.prepare(m); err != nil {
		return nil, err
	}
	limit := min(m.memoryLimit, uint64(m.compiled.maxMemory)*pageSize)
	if p.base.begun.Size() > limit {
		return nil, errSmall
	}
	s := &seat{pool: p, against: p.base.fits(limit), globals: append([]uint64(nil), p.base.globals...)}
	s.prepare(m, shard)
	s.instance.seat = s
	s.liesIn(&s.room)
	s.room = seatMemory{account: account{m.budgets, &m.limits}, limit: limit}
	p.seats.admit()
	if err := s.room.begin(p.base.begun); err != nil {
		p.seats.leaves()
		return nil, notStarted(err)
	}
	p.seats.join(s)
	return s, nil
}

// Initialize implements protocol.Instance: what is copied was initialised.
func (s *seat) Initialize() error {
	err := s.Copied()
	if code, _ := protocol.CodeOf(err); code == abi.Unsupported {
		return nil
	}
	return err
}

// Describe implements protocol.Instance.
func (s *seat) Describe() ([]byte, error) {
	return s.pool.base.description, s.pool.base.described
}

// Open implements protocol.Instance.
func (s *seat) Open(pairs []byte) error {
	if err := s.instance.Open(pairs); err != nil {
		return err
	}
	// Most of what opening writes is the same for all guests of the module.
	if err := s.room.settle(s.against); err != nil {
		return &protocol.Fault{Kind: ErrTrap, Message: "the guest's memory cannot be mapped: " + err.Error()}
	}
	return nil
}

// sit puts the guest on an executor for a call. If it cannot, the call was not made, and the
// guest knows nothing of it.
func (s *seat) sit() error {
	if ex := s.on; ex != nil && !s.room.counted && ex.busy.CompareAndSwap(false, true) {
		if ex.seat == s {
			if !s.recent.Load() {
				s.recent.Store(true)
			}
			return nil
		}
		s.pool.release(ex)
	}
	if err := s.room.used(); err != nil {
		return refusedBy(err)
	}
	s.pool.seats.use(s)
	return s.pool.take(s)
}

// stand takes the guest off after a call. If it failed, nobody uses the executor again.
func (s *seat) stand(failed bool) {
	ex := s.on
	if !failed {
		s.pool.release(ex)
		return
	}
	s.on = nil
	s.pool.discard(ex)
}

// Sleep implements protocol.Sleeper.
func (s *seat) Sleep(must bool) (slept bool, err error) {
	if !must && s.room.count() > largeGuest {
		s.pool.seats.counted(s)
		return false, nil
	}
	s.pool.leave(s)
	if err := s.room.sleep(s.against); err != nil {
		return false, refusedBy(err)
	}
	s.forgetOutput()
	s.pool.seats.sleeps(s)
	return true, nil
}

// Wake implements protocol.Sleeper.
func (s *seat) Wake() error {
	s.pool.seats.admit()
	if err := s.room.wake(s.against); err != nil {
		s.pool.seats.leaves()
		if isDamaged(err) {
			return &protocol.Fault{Kind: ErrTrap, Message: "the guest cannot be woken: " + err.Error()}
		}
		return refusedBy(err)
	}
	s.pool.seats.wakes(s)
	return nil
}

// forgetOutput gives back what the host has kept of the guest's output.
func (s *seat) forgetOutput() {
	s.stdout.flush()
	s.stderr.flush()
	s.stdout.line, s.stderr.line, s.tail.b, s.message = nil, nil, nil, nil
}

// Memory implements protocol.Instance.
func (s *seat) Memory() int64 { return int64(s.room.size) }

// Close implements protocol.Instance.
func (s *seat) Close() {
	s.pool.leave(s)
	s.pool.seats.gone(s)
	s.end()
}

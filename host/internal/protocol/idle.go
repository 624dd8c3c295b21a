package protocol

import (
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Idler is an Instance that does something in the background, for which it needs time between
// its calls.
type Idler interface {
	// Idle gives it time. It returns after how many milliseconds it wants more, 0 if it does
	// not say.
	Idle(now store.Millis) (next int64, err error)
}

// Idle is a step of a scheduler: it gives the instance of a shard time for what it does in the
// background. It skips a shard that is in a call, in which an instance does that as well, and one
// without an instance. It wakes none, and does not keep one awake. It returns after what time the
// instance wants more, 0 if it does not say, and whether it does nothing in the background.
func (st *Store) Idle(shard int, now store.Millis) (next time.Duration, absent bool) {
	s := st.shards[shard]
	if s.resting() || st.config.Allow != nil && st.config.Allow() != nil || !s.mu.TryLock() {
		return 0, false
	}
	defer s.unlock()
	if s.closed || s.inst == nil {
		return 0, false
	}
	inst := s.inst
	idler, ok := inst.Instance.(Idler)
	if !ok {
		return 0, true
	}
	ms, err := idler.Idle(now)
	if code, _ := CodeOf(err); code == abi.Unsupported {
		return 0, true
	}
	if s.done(opIdle, inst, err) != nil {
		return 0, false
	}
	return time.Duration(min(ms, maxIdle.Milliseconds())) * time.Millisecond, false
}

// maxIdle is the longest that an instance can want no time for.
const maxIdle = time.Hour

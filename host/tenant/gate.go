package tenant

import (
	"context"
	"sync"
	"sync/atomic"
)

// gate lets operations pass until it is shut, and then knows when the last of those
// that passed has left. Passing costs two atomic additions.
type gate struct {
	state   atomic.Int64 // how many are inside, and shut
	drained chan struct{}

	mu     sync.Mutex
	opened chan struct{} // closed when the gate need not be waited for any longer
}

const shut = 1 << 62

func newGate() *gate { return &gate{drained: make(chan struct{}, 1)} }

// enter passes the gate. If it is shut, enter returns a channel that is closed when the
// caller should look again where to go.
func (g *gate) enter() (wait <-chan struct{}, ok bool) {
	if g.state.Add(1) < shut {
		return nil, true
	}
	g.leave()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened, false
}

func (g *gate) leave() {
	if g.state.Add(-1) == shut {
		select {
		case g.drained <- struct{}{}:
		default:
		}
	}
}

// shut keeps others out, and waits for those inside until the context ends. The gate
// stays shut either way.
func (g *gate) shut(ctx context.Context) error {
	g.mu.Lock()
	if g.state.Load() < shut {
		g.opened = make(chan struct{})
		g.state.Add(shut)
	}
	g.mu.Unlock()
	for g.state.Load() != shut {
		select {
		case <-g.drained:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// open lets operations pass again.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.Load() >= shut {
		g.state.Add(-shut)
		close(g.opened)
	}
}

// redirect sends those who wait away, to look elsewhere. The gate stays shut for good.
func (g *gate) redirect() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.opened:
	default:
		close(g.opened)
	}
}

// inside returns how many have passed and not left.
func (g *gate) inside() int64 { return g.state.Load() % shut }

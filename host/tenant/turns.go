package tenant

import (
	"context"
	"sync"
)

// turns lets those who work on one name follow one another.
type turns struct {
	mu  sync.Mutex
	all map[string]*turn
}

type turn struct {
	taken chan struct{}
	users int
}

// take waits for the turn of a name, until the context ends. The caller calls back.
func (ts *turns) take(ctx context.Context, name string) (back func(), err error) {
	ts.mu.Lock()
	if ts.all == nil {
		ts.all = make(map[string]*turn)
	}
	t := ts.all[name]
	if t == nil {
		t = &turn{taken: make(chan struct{}, 1)}
		ts.all[name] = t
	}
	t.users++
	ts.mu.Unlock()
	leave := func() {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(ts.all, name)
		}
	}
	if ctx.Err() == nil {
		select {
		case t.taken <- struct{}{}:
			return func() {
				<-t.taken
				leave()
			}, nil
		case <-ctx.Done():
		}
	}
	leave()
	return nil, ctx.Err()
}

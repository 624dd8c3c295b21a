package plugin_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// lazy is a context that counts calls of Done, like one whose time begins only with
// the first of them.
type lazy struct {
	context.Context
	mu    sync.Mutex
	asked int
}

func (l *lazy) Done() <-chan struct{} {
	l.mu.Lock()
	l.asked++
	l.mu.Unlock()
	return l.Context.Done()
}

// Callers that give up on a shard that hangs leave nothing behind but one goroutine,
// however many they are. When the shard returns, it serves everybody again.
func TestGivingUpOnAShardThatHangs(t *testing.T) {
	var armed sync.Map
	s := newStall(t, func(shard int64, said string) bool {
		_, is := armed.Load("now")
		return is && shard == 2 && said == "set"
	})
	p, keys := stalling(t, s, "")
	put(t, p, keys[2], "before")
	armed.Store("now", true)
	var hung sync.WaitGroup
	hung.Go(func() { put(t, p, keys[2], "hangs") })
	<-s.reached
	before := runtime.NumGoroutine()
	for range 5 {
		var givers sync.WaitGroup
		for range 40 {
			givers.Go(func() {
				c, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
				_, err := p.Get(c, keys[2], 1)
				if err != context.DeadlineExceeded {
					t.Error(err)
				}
			})
		}
		givers.Wait()
	}
	require.LessOrEqual(t, goroutines(before+1), before+1)
	armed.Delete("now")
	s.free()
	hung.Wait()
	c, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	v, err := p.Get(c, keys[2], store.At(time.Now()))
	require.NoError(t, err)
	require.Equal(t, "hangs", string(v[8:]))
	require.Less(t, goroutines(before-1), before)
}

// goroutines waits until there are no more than that, and returns how many there
// are.
func goroutines(most int) (n int) {
	for range 2000 {
		if n = runtime.NumGoroutine(); n <= most {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return n
}

// A caller that finds a shard free does not ask for the end of its context.
func TestAFreeShardAsksForNoDeadline(t *testing.T) {
	p, keys := stalling(t, nil, "")
	c := &lazy{Context: ctx}
	for range 100 {
		_ = p.Set(c, store.Write{Key: keys[0], Value: value(1, "x"), Now: 1})
		_, _ = p.Get(c, keys[0], 1)
	}
	require.Zero(t, c.asked)
}

package plugin_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// A hundred goroutines use one key of a guest that runs out again and again, while it is put
// to sleep, replaced and at last closed. Each caller gets an error of a known kind, and
// nothing hangs.
func TestStoppingWhileCallsRunOut(t *testing.T) {
	for name, act := range map[string]store.Millis{"fuel": store.Millis(actLoop), "depth": store.Millis(actRecurse), "deadline": store.Millis(actRandomFlood)} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			config := metered()
			config.Now, config.Fuel, config.FuelRate = clock.Now, 1<<21, -1
			if name == "deadline" {
				config.Fuel = 1 << 50
			}
			p := open(t, guest(t, "hostile"), config)
			if name == "deadline" {
				p.SetDeadline(time.Millisecond)
			}
			var ranOut, served atomic.Int64
			stop := make(chan struct{})
			var wait sync.WaitGroup
			for i := range 100 {
				wait.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						now := store.Millis(actWork)
						if i%10 == 0 {
							now = act
						}
						_, err := p.Get(ctx, key, now)
						switch {
						case err == nil:
							served.Add(1)
						case errors.Is(err, plugin.ErrFuel), errors.Is(err, plugin.ErrDepth), errors.Is(err, plugin.ErrDeadline):
							ranOut.Add(1)
							clock.advance(time.Minute)
						case errors.Is(err, plugin.ErrBackoff):
						case errors.Is(err, store.ErrClosed):
							return
						default:
							t.Error(err)
							return
						}
					}
				})
			}
			for range 30 {
				_ = p.Recycle(ctx)
				_ = p.Sleep(ctx)
				_ = p.Stats()
				_ = p.Save(ctx, store.Millis(actWork))
				time.Sleep(time.Millisecond)
			}
			for began := time.Now(); (ranOut.Load() < 3 || served.Load() < 3) && time.Since(began) < time.Minute; {
				time.Sleep(time.Millisecond)
			}
			closing, cancel := withTimeout(time.Minute)
			defer cancel()
			err := p.Close(closing)
			require.NotErrorIs(t, err, plugin.ErrHung)
			close(stop)
			wait.Wait()
			require.Positive(t, ranOut.Load())
			require.Positive(t, served.Load())
			require.Equal(t, plugin.StateClosed, p.Stats().Shards[0].State)
		})
	}
}

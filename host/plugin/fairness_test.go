package plugin_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// hostFor makes a host on which that many calls run at once.
func hostFor(t *testing.T, parallel int) *plugin.Host {
	h := plugin.NewHost(plugin.HostConfig{Parallel: parallel})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	return h
}

// looper opens a guest for endless loops, which its fuel ends.
func looper(t *testing.T, h *plugin.Host, shards int, fuel int64) *plugin.Plugin {
	config := metered()
	config.Host, config.Shards, config.Fuel, config.Deadline, config.FuelRate = h, shards, fuel, time.Hour, -1
	return open(t, guest(t, "hostile"), config)
}

// startsLoop starts an endless loop in a shard, and returns when it has a turn or waits for one.
func startsLoop(t *testing.T, h *plugin.Host, p *plugin.Plugin, shard int) (ended chan error) {
	t.Helper()
	before := h.Stats().Turns
	ended = make(chan error, 1)
	go func() {
		_, err := p.Get(context.Background(), keyIn(shard, p.Info().Shards), actLoop)
		ended <- err
	}()
	require.Eventually(t, func() bool {
		now := h.Stats().Turns
		return now.Running+now.Waiting > before.Running+before.Waiting
	}, time.Minute, 100*time.Microsecond)
	return ended
}

// A plugin with many calls gets no more of the processor than one with a single call.
func TestSharesByPlugin(t *testing.T) {
	for _, parallel := range []int{1, 2} {
		h := hostFor(t, parallel)
		const fuel = 1 << 28
		many, one := looper(t, h, 4, fuel), looper(t, h, 1, fuel)
		var ended []chan error
		for shard := range 4 {
			ended = append(ended, startsLoop(t, h, many, shard))
		}
		last := startsLoop(t, h, one, 0)
		require.ErrorIs(t, <-last, plugin.ErrFuel)
		for _, c := range ended {
			select {
			case err := <-c:
				t.Fatalf("one of four calls ended before the only call of another plugin: %v", err)
			default:
			}
		}
		turns := h.Stats().Turns
		require.LessOrEqual(t, turns.Running, max(parallel-1, 1), "long calls leave a turn")
		require.Equal(t, 4, turns.Running+turns.Waiting)
		for _, c := range ended {
			require.ErrorIs(t, <-c, plugin.ErrFuel)
		}
		stats := one.Stats()
		require.Positive(t, stats.Queue.Turns)
		require.Positive(t, stats.Queue.TurnTime)
		require.Equal(t, plugin.Turns{Engaged: true}, h.Stats().Turns)
	}
}

// Waiting for a turn does not count as running, so a deadline ends nobody who waits.
func TestTurnsDoNotCountAsRunning(t *testing.T) {
	h := hostFor(t, 1)
	const fuel = 1 << 29
	p := looper(t, h, 1, fuel)
	_, err := p.Get(ctx, key, actLoop)
	require.ErrorIs(t, err, plugin.ErrFuel)
	began := time.Now()
	require.ErrorIs(t, <-startsLoop(t, h, looper(t, h, 1, fuel), 0), plugin.ErrFuel)
	alone := time.Since(began)

	// Eight calls at once take eight times as long, each. None may run for three times as long.
	var ended []chan error
	for range 8 {
		config := metered()
		config.Host, config.Shards, config.Fuel, config.Deadline, config.FuelRate = h, 1, fuel, 3*alone, -1
		ended = append(ended, startsLoop(t, h, open(t, guest(t, "hostile"), config), 0))
	}
	for _, c := range ended {
		require.ErrorIs(t, <-c, plugin.ErrFuel, "it did not run for longer than alone")
	}
}

// Short calls pass while others loop, even where one call runs at a time.
func TestShortCallsPassLoops(t *testing.T) {
	for _, parallel := range []int{0, 1, 2} {
		h := hostFor(t, parallel)
		var looping []func() bool
		for range 3 {
			looping = append(looping, loopsAlways(t, h))
		}
		neighbour := looper(t, h, 1, 1<<30)
		for range 20 {
			_, err := neighbour.Get(ctx, key, actWork)
			require.NoError(t, err)
		}
		for _, still := range looping {
			require.True(t, still(), "twenty short calls took as long as loops of a second")
		}
	}
}

// loopsAlways starts a loop of a second.
func loopsAlways(t *testing.T, h *plugin.Host) (still func() bool) {
	config := metered()
	config.Host, config.Shards, config.Deadline, config.FuelRate = h, 1, time.Second, -1
	config.Fuel = 1 << 40
	p := open(t, guest(t, "hostile"), config)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Get(context.Background(), key, actLoop)
		ended <- err
	}()
	require.Eventually(t, func() bool { return p.Stats().Shards[0].Busy }, time.Minute, time.Millisecond)
	t.Cleanup(func() {
		if err := <-ended; !errors.Is(err, plugin.ErrDeadline) {
			t.Error(err)
		}
	})
	return func() bool { return len(ended) == 0 }
}

// blocking is a log handler that blocks, as a full pipe does.
type blocking struct {
	slog.Handler
	within chan struct{}
	let    chan struct{}
	once   *sync.Once
}

func (b blocking) Enabled(context.Context, slog.Level) bool { return true }
func (b blocking) Handle(context.Context, slog.Record) error {
	b.once.Do(func() { close(b.within) })
	<-b.let
	return nil
}

// A call that waits in a function of the host gives its turn up, trusted or not.
func TestWaitingInTheHostLeavesTheTurn(t *testing.T) {
	for _, c := range []struct {
		trusted bool
		act     store.Millis
		ends    error
	}{{false, actLogFlood, plugin.ErrFuel}, {false, actWriteAndTrap, plugin.ErrTrap}, {true, actWriteAndTrap, plugin.ErrTrap}} {
		h := hostFor(t, 1)
		config := metered()
		config.Fuel, config.FuelRate = 1<<22, -1
		if c.trusted {
			config = quiet()
			config.Trusted = true
		}
		b := blocking{within: make(chan struct{}), let: make(chan struct{}), once: new(sync.Once)}
		config.Host, config.Shards, config.Logger = h, 1, slog.New(b)
		slow := open(t, guest(t, "hostile"), config)
		neighbour := looper(t, h, 1, 1<<30)
		ended := make(chan error, 1)
		go func() {
			_, err := slow.Get(context.Background(), key, c.act)
			ended <- err
		}()
		<-b.within
		require.Equal(t, plugin.Turns{Engaged: true}, h.Stats().Turns)
		_, err := neighbour.Get(ctx, key, actWork)
		require.NoError(t, err)
		close(b.let)
		require.ErrorIs(t, <-ended, c.ends)
		require.Zero(t, h.Stats().Turns.Running)
	}
}

// Calls that wait for others of their plugin are bounded in number and time.
func TestQueueOfAPlugin(t *testing.T) {
	config := metered()
	config.Host, config.Shards, config.MaxQueue, config.QueueWait = hostFor(t, 0), 1, 2, time.Hour
	config.Deadline, config.FuelRate, config.Fuel = time.Second, -1, 1<<40
	p := open(t, guest(t, "hostile"), config)
	looping := make(chan error, 1)
	go func() { _, err := p.Get(context.Background(), key, actLoop); looping <- err }()
	require.Eventually(t, func() bool { return p.Stats().Shards[0].Busy }, time.Minute, time.Millisecond)
	waiting, leave := context.WithCancel(ctx)
	left := make(chan error, 2)
	for range 2 {
		go func() { _, err := p.Get(waiting, key, actWork); left <- err }()
	}
	require.Eventually(t, func() bool { return p.Stats().Queue.Waiting == 2 }, time.Minute, time.Millisecond)
	_, err := p.Get(ctx, key, actWork)
	require.ErrorIs(t, err, plugin.ErrBusy)
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.EqualValues(t, "queue", store.ExceededBound(err))
	require.Positive(t, store.RetryIn(err))
	var e *plugin.Error
	require.ErrorAs(t, err, &e)
	require.EqualValues(t, 2, e.Allowed)
	require.NoError(t, readable(err, "the guest is busy: 2 calls wait for it already, as many as may (MaxQueue)"))
	leave()
	for range 2 {
		require.ErrorIs(t, <-left, context.Canceled)
	}
	stats := p.Stats()
	require.EqualValues(t, 1, stats.Queue.Full)
	require.ErrorIs(t, <-looping, plugin.ErrDeadline)
	require.EqualValues(t, 1, p.Stats().Calls, "what was refused or left never reached the guest")
}

func TestQueueConfig(t *testing.T) {
	config := metered()
	config.MaxCalls = -1
	_, err := plugin.Open(ctx, guest(t, "hostile"), config)
	require.ErrorIs(t, err, plugin.ErrConfig)
	require.ErrorContains(t, err, "MaxCalls is -1: must be 0 or a number of calls")
}

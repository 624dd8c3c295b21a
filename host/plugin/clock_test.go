package plugin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// machineTime is a clock that can leap, and time that passes beside it.
type machineTime struct {
	*clock
	passed atomic.Int64
}

func (m *machineTime) pass(d time.Duration) {
	m.advance(d)
	m.passed.Add(int64(d))
}

func (m *machineTime) config(log *logBuffer) plugin.Config {
	config := quiet()
	config.Now, config.Logger = m.Now, log.logger()
	plugin.Passed(&config, func() time.Duration { return time.Duration(m.passed.Load()) })
	return config
}

const week = 7 * 24 * time.Hour

// stored writes records that live for a week, by a correct clock.
func stored(t *testing.T, p *plugin.Plugin, at time.Time) {
	t.Helper()
	now := store.At(at)
	for i := range 20 {
		require.NoError(t, p.Set(ctx, store.Write{Key: fmt.Append(nil, i), Value: value(1, "v"), Now: now, Expires: now + store.Span(week)}))
	}
}

func left(t *testing.T, p *plugin.Plugin, at time.Time) (n int) {
	t.Helper()
	for _, err := range p.Keys(ctx, store.At(at)) {
		require.NoError(t, err)
		n++
	}
	return n
}

// A clock that leaps years ahead does not make the sweeper, Save, Sweep or Recycle
// remove everything before it has run steadily for an hour.
func TestClockThatLeapsAhead(t *testing.T) {
	for _, way := range []string{"sweeper", "save", "sweep", "recycle"} {
		t.Run(way, func(t *testing.T) {
			var log logBuffer
			m := &machineTime{clock: newClock()}
			right := m.Now()
			config := m.config(&log)
			if way == "sweeper" {
				config.SweepInterval = time.Millisecond
			}
			p := open(t, guest(t, "store"), config)
			stored(t, p, right)
			remove := func() {
				t.Helper()
				switch way {
				case "sweeper":
					before := p.Stats().Ops["sweep"].Calls
					require.Eventually(t, func() bool { return p.Stats().Ops["sweep"].Calls > before+4 }, time.Minute, time.Millisecond)
				case "save":
					require.NoError(t, p.Save(ctx, store.At(m.Now())))
				case "sweep":
					_, err := p.Sweep(ctx, 1000, store.At(m.Now()))
					require.NoError(t, err)
				case "recycle":
					require.NoError(t, p.Recycle(ctx))
				}
			}
			remove()
			m.advance(20 * 365 * 24 * time.Hour)
			remove()
			require.Equal(t, 20, left(t, p, right), "nothing is gone")
			m.pass(59 * time.Minute)
			remove()
			require.Equal(t, 20, left(t, p, right))
			require.Equal(t, 1, strings.Count(log.String(), "the clock leapt ahead"), "once")

			// The clock is corrected: everything is as before.
			m.advance(-20 * 365 * 24 * time.Hour)
			remove()
			require.Equal(t, 20, left(t, p, right))
			require.Contains(t, log.String(), "the clock is right again")

			// It leaps, leaps again, and then runs steadily: it is believed after all.
			m.advance(10 * 365 * 24 * time.Hour)
			remove()
			m.pass(50 * time.Minute)
			m.advance(10 * 365 * 24 * time.Hour)
			remove()
			m.pass(50 * time.Minute)
			remove()
			require.Equal(t, 20, left(t, p, right))
			m.pass(11 * time.Minute)
			remove()
			require.Zero(t, left(t, p, right))
			require.Contains(t, log.String(), "is believed")
		})
	}
}

// Hours of suspension, and time that passes, are no leap. On a device that boots in
// 1970 the time of its files decides what is swept.
func TestClockThatIsRight(t *testing.T) {
	var log logBuffer
	m := &machineTime{clock: newClock()}
	right := m.Now()
	p := open(t, guest(t, "store"), m.config(&log))
	stored(t, p, right)
	for range 8 {
		m.advance(23 * time.Hour) // suspended
		require.NoError(t, p.Save(ctx, store.At(m.Now())))
		m.pass(time.Minute)
	}
	require.Zero(t, left(t, p, right), "a week has passed")
	stored(t, p, m.Now())
	m.pass(30 * 24 * time.Hour)
	require.NoError(t, p.Save(ctx, store.At(m.Now())))
	require.Zero(t, left(t, p, right))
	require.NotContains(t, log.String(), "leapt")
}

func TestClockThatBeginsWrong(t *testing.T) {
	dir := t.TempDir()
	m := &machineTime{clock: newClock()}
	right := m.Now()
	run := func(log *logBuffer) *plugin.Plugin {
		config := m.config(log)
		config.Snapshots, config.SaveInterval = dir, time.Hour
		return open(t, guest(t, "store"), config)
	}
	var log logBuffer
	p := run(&log)
	stored(t, p, right)
	require.NoError(t, p.Close(ctx))
	written := func() {
		t.Helper()
		for _, name := range []string{"sessions.snapshot", ".waddle.lock"} {
			require.NoError(t, os.Chtimes(filepath.Join(dir, name), right, right))
		}
	}

	// It boots in 1970, and a leap corrects it.
	written()
	m.advance(-time.Duration(right.UnixNano()))
	p = run(&log)
	require.Equal(t, 20, left(t, p, right))
	m.advance(time.Duration(right.UnixNano()))
	require.NoError(t, p.Close(ctx))

	// It boots years ahead, and is correct in the next run.
	written()
	m.advance(20 * 365 * 24 * time.Hour)
	p = run(&log)
	require.NoError(t, p.Close(ctx))
	require.Contains(t, log.String(), "the clock leapt ahead")
	m.advance(-20 * 365 * 24 * time.Hour)
	p = run(&log)
	require.Equal(t, 20, left(t, p, right), "the restore and the save before it removed nothing")
}

package plugin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// later makes a call and returns its outcome.
func later(p *plugin.Plugin, words ...string) <-chan error {
	outcome := make(chan error, 1)
	go func() {
		_, err := say(p, words...)
		outcome <- err
	}()
	return outcome
}

// Close ends calls that wait for a server which does not answer, and then the connections.
func TestNetworkClose(t *testing.T) {
	for how, begin := range map[string]func(p *plugin.Plugin, address string) <-chan error{
		"in a call of the host":   func(p *plugin.Plugin, address string) <-chan error { return later(p, "wait", address, "-1") },
		"in the guest's poller":   func(p *plugin.Plugin, address string) <-chan error { return later(p, "stall", address) },
		"with nothing under way":  nil,
		"whose guest never stops": func(p *plugin.Plugin, address string) <-chan error { return later(p, "persist", address) },
	} {
		t.Run(how, func(t *testing.T) {
			address, open, _ := silent(t)
			config := reaching(address)
			config.Network.Wait = time.Hour
			p := openNet(t, config)
			said(t, p, "leak", address, "3")
			var outcome <-chan error
			if begin != nil {
				outcome = begin(p, address)
				require.Eventually(t, func() bool { return open() == 4 }, time.Minute, time.Millisecond)
			}
			began := time.Now()
			require.NoError(t, p.Close(ctx))
			require.Less(t, time.Since(began), 30*time.Second)
			if outcome != nil {
				require.ErrorIs(t, <-outcome, store.ErrUnavailable)
			}
			require.Eventually(t, func() bool { return open() == 0 }, time.Minute, time.Millisecond)
			_, err := say(p, "heard")
			require.ErrorIs(t, err, store.ErrClosed)
		})
	}
}

// An answer that comes while the plugin closes still arrives.
func TestNetworkCloseLetsAnswersArrive(t *testing.T) {
	address, open, release := silent(t)
	p := openNet(t, reaching(address))
	outcome := later(p, "wait", address, "-1")
	require.Eventually(t, func() bool { return open() == 1 }, time.Minute, time.Millisecond)
	time.AfterFunc(10*time.Millisecond, release)
	require.NoError(t, p.Close(ctx))
	require.NoError(t, <-outcome)
}

// Saving may use the network while the plugin closes, for as long as Close may take.
func TestNetworkCloseSaves(t *testing.T) {
	s := newEcho(t)
	address := "tcp://" + s.address
	p := openNet(t, reaching(address))
	said(t, p, "atsave", "call", address+" saved")
	require.NoError(t, p.Close(ctx))
	require.Equal(t, 1, s.lines)

	dead, _, _ := silent(t)
	config := reaching(dead)
	config.Network.Wait = time.Hour
	p = openNet(t, config)
	said(t, p, "atsave", "wait", dead+" -1")
	within, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := p.Close(within)
	require.GreaterOrEqual(t, time.Since(began), 190*time.Millisecond, "it waits as long as it may")
	require.ErrorContains(t, err, "not everything was saved")
	require.ErrorContains(t, err, "errno 73")
	require.NotErrorIs(t, err, plugin.ErrHung, "the guest was told, and returned")

	p = openNet(t, config)
	said(t, p, "atsave", "wait", dead+" -1")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorContains(t, p.Close(ended), "errno 73", "not at all")
}

// An instance that sleeps has no connections, and makes others when it wakes.
func TestNetworkSleepClosesConnections(t *testing.T) {
	s := newEcho(t)
	address := "tcp://" + s.address
	config := reaching(address)
	p := openNet(t, config)
	said(t, p, "leak", address, "5")
	require.Eventually(t, func() bool { return s.open() == 5 }, time.Minute, time.Millisecond)
	require.NoError(t, p.Sleep(ctx))
	require.Eventually(t, func() bool { return s.open() == 0 }, time.Minute, time.Millisecond)
	require.True(t, p.Resting())
	require.Zero(t, p.Stats().Network.Connections)
	require.Equal(t, "quack", said(t, p, "call", address, "quack"))
	said(t, p, "leak", address, "1")
	require.NoError(t, p.Recycle(ctx))
	require.Eventually(t, func() bool { return s.open() == 0 }, time.Minute, time.Millisecond, "the instance was replaced")

	// One that is in a call does not sleep before the call has ended, which its bounds see to.
	dead, open, release := silent(t)
	p = openNet(t, reaching(dead))
	outcome := later(p, "wait", dead, "-1")
	require.Eventually(t, func() bool { return open() == 1 }, time.Minute, time.Millisecond)
	within, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Sleep(within), context.DeadlineExceeded)
	release()
	require.NoError(t, <-outcome)
	require.NoError(t, p.Sleep(ctx))
}

// An instance that fails in the middle of something leaves no connection behind.
func TestNetworkOfAFailedInstance(t *testing.T) {
	s := newEcho(t)
	address := "tcp://" + s.address
	p := openNet(t, reaching(address))
	said(t, p, "leak", address, "5")
	said(t, p, "keep", address)
	said(t, p, "idle", "10", "trap")
	require.Eventually(t, func() bool { return p.Stats().Shards[0].Failures > 0 }, time.Minute, time.Millisecond)
	require.Contains(t, p.Stats().Shards[0].LastError, "idle: ")
	require.Eventually(t, func() bool { return s.open() == 0 }, time.Minute, time.Millisecond)
	require.Zero(t, p.Stats().Network.Connections)
	require.Eventually(t, func() bool { _, err := say(p, "call", address, "x"); return err == nil }, time.Minute, time.Millisecond)
	require.EqualValues(t, 1, p.Stats().Restarts)
}

// A guest may use its network when it opens, within the same bounds.
func TestNetworkWhileOpening(t *testing.T) {
	s := newEcho(t)
	config := reaching("tcp://" + s.address)
	config.GuestConfig = map[string]string{"open": "leak tcp://" + s.address + " 2"}
	p := openNet(t, config)
	require.Equal(t, "3", said(t, p, "leak", "tcp://"+s.address, "1"))

	dead, _, _ := silent(t)
	config = reaching(dead)
	config.GuestConfig = map[string]string{"open": "wait " + dead + " -1"}
	config.Network.Wait = 100 * time.Millisecond
	p = openNet(t, config)
	said(t, p, "heard")
	require.EqualValues(t, 1, p.Stats().Limits[plugin.LimitNetworkWait])
}

// What a guest does in the background has time between its calls.
func TestIdle(t *testing.T) {
	s := newEcho(t)
	address := "tcp://" + s.address
	config := reaching(address)
	config.Shards = 2
	p := openNet(t, config)
	said(t, p, "keep", address)
	said(t, p, "idle", "10", "park")
	// Lines come while no call is made, and the guest takes them.
	said(t, p, "send", "one")
	said(t, p, "send", "two")
	idles := func() uint64 { return p.Stats().Ops["idle"].Calls }
	before := idles()
	require.Eventually(t, func() bool { return idles() >= before+5 }, time.Minute, time.Millisecond)
	require.Equal(t, "one two", said(t, p, "heard"))
	require.NotEqual(t, "0", said(t, p, "idled"))
	require.Zero(t, p.Stats().Restarts)
	require.EqualValues(t, 0, p.Stats().Ops["idle"].Errors)

	require.NoError(t, p.Sleep(ctx))
	before = idles()
	time.Sleep(1200 * time.Millisecond)
	require.Equal(t, before, idles(), "it sleeps")
	require.True(t, p.Resting())
}

// Being idle does not keep an instance awake, and it is called about once a second if it does not
// say otherwise.
func TestIdleInstanceFallsAsleep(t *testing.T) {
	s := newEcho(t)
	config := reaching("tcp://" + s.address)
	config.SleepAfter = 1500 * time.Millisecond
	p := openNet(t, config)
	said(t, p, "leak", "tcp://"+s.address, "1")
	require.Eventually(t, func() bool { return p.Stats().Ops["idle"].Calls > 0 }, time.Minute, time.Millisecond)
	require.Eventually(t, p.Resting, time.Minute, time.Millisecond)
	require.Less(t, p.Stats().Ops["idle"].Calls, uint64(10))
	require.Eventually(t, func() bool { return s.open() == 0 }, time.Minute, time.Millisecond)
}

// A guest that waits while it is idle does so for a moment: callers come first.
func TestIdleWaitsForAMoment(t *testing.T) {
	address, _, _ := silent(t)
	config := reaching(address)
	config.Network.Wait = time.Hour
	g := openNetCalls(t, config)
	fd := g.connect(address)
	g.put(512, netCall("conn_read", fd, netData, 1, waitLong))
	idles := func() uint64 { return g.p.Stats().Ops["idle"].Calls }
	require.Eventually(t, func() bool { return idles() > 0 }, time.Minute, time.Millisecond)
	require.NotZero(t, g.p.Stats().Limits[plugin.LimitNetworkWait], "it was told to stop")
	require.Zero(t, g.p.Stats().Restarts)
	require.Less(t, idles(), uint64(5))
}

// Without a network nobody is called to be idle.
func TestNoIdleWithoutNetwork(t *testing.T) {
	p := open(t, specGuest(t).bytes(), specConfigOf(nil))
	require.Contains(t, strings.Join(exportsOf(p), " "), "session_idle")
	_, _ = p.Get(ctx, key, 1)
	time.Sleep(1200 * time.Millisecond)
	require.Zero(t, p.Stats().Ops["idle"].Calls)
}

func exportsOf(p *plugin.Plugin) (names []string) {
	for _, e := range p.Info().Module.Exports {
		names = append(names, e.Name)
	}
	return names
}

package plugin_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// silent is a server that answers nothing, until release sends a byte to everybody.
func silent(t testing.TB) (address string, open func() int, release func()) {
	var n atomic.Int64
	let := make(chan struct{})
	address = listen(t, func(c net.Conn) {
		n.Add(1)
		defer n.Add(-1)
		gone := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, c)
			close(gone)
		}()
		select {
		case <-let:
			_, _ = c.Write([]byte("x"))
			<-gone
		case <-gone:
		}
	})
	return "tcp://" + address, func() int { return int(n.Load()) }, func() { close(let) }
}

// A call waits for as long as it may, and no longer, in whatever way it waits. Then its guest goes on.
func TestNetworkWaitIsBounded(t *testing.T) {
	address, open, _ := silent(t)
	for how, trust := range trusts {
		t.Run(how, func(t *testing.T) {
			config := reaching(address)
			config.Network.Wait = 150 * time.Millisecond
			trust(&config)
			p := openNet(t, config)
			_, err := say(p, "wait", address, "20")
			require.ErrorContains(t, err, "errno 6", "nothing came within the guest's own bound")
			require.Zero(t, p.Stats().Limits[plugin.LimitNetworkWait])
			for i, line := range []string{"wait " + address + " -1", "wait " + address + " 3600000", "stall " + address, "sleep 60000"} {
				began := time.Now()
				_, err := say(p, line)
				took := time.Since(began)
				require.GreaterOrEqual(t, took, config.Network.Wait, line)
				require.ErrorIs(t, err, store.ErrUnavailable, line)
				if strings.HasPrefix(line, "sleep") {
					// What does not end when it is told to is ended.
					require.ErrorIs(t, err, plugin.ErrDeadline)
					require.ErrorContains(t, err, "went on waiting for the network")
					require.EqualValues(t, plugin.LimitNetworkWait, err.(*plugin.Error).ExceededBound())
					require.Less(t, took, 30*time.Second)
				} else {
					require.Contains(t, strings.ToLower(err.Error()), map[bool]string{true: "errno 73", false: "timed out"}[i < 2])
					require.Zero(t, p.Stats().Restarts, line)
				}
				require.Eventually(t, func() bool { return open() == 0 }, time.Minute, time.Millisecond, "%s closes its connection", line)
			}
			require.EqualValues(t, 4+1, p.Stats().Limits[plugin.LimitNetworkWait], "and once more for the call that was ended")
			require.Eventually(t, func() bool { _, err := say(p, "heard"); return err == nil }, time.Minute, time.Millisecond)
		})
	}
}

// A guest that waits on and on, whatever it is told, is ended; its connections are closed.
func TestNetworkWaitForEver(t *testing.T) {
	address, open, _ := silent(t)
	for how, trust := range trusts {
		t.Run(how, func(t *testing.T) {
			config := reaching(address)
			config.Network.Wait = 50 * time.Millisecond
			trust(&config)
			g := openNetCalls(t, config)
			fd := g.connect(address)
			err := g.forever("conn_read", fd, netData, 1, waitLong)
			require.ErrorIs(t, err, plugin.ErrDeadline)
			require.EqualValues(t, plugin.LimitNetworkWait, err.(*plugin.Error).Limit)
			require.Eventually(t, func() bool { return open() == 0 }, time.Minute, time.Millisecond)
			require.Zero(t, g.p.Stats().Network.Connections)
		})
	}
}

// The deadline of a caller's context bounds a wait. Its cancellation does not: others may use the
// connection, and the guest is in the middle of something.
func TestNetworkWaitOfACaller(t *testing.T) {
	address, open, release := silent(t)
	config := reaching(address)
	config.Network.Wait = time.Hour
	p := openNet(t, config)
	require.Empty(t, said(t, p, "heard")) // it is there

	within, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := p.Get(within, []byte("wait "+address+" -1"), 1)
	require.ErrorContains(t, err, "errno 73")
	require.GreaterOrEqual(t, time.Since(began), 140*time.Millisecond)
	require.Zero(t, p.Stats().Restarts)

	require.Eventually(t, func() bool { return open() == 0 }, time.Minute, time.Millisecond)
	cancelled, cancel := context.WithCancel(ctx)
	outcome := make(chan error, 1)
	go func() {
		_, err := p.Get(cancelled, []byte("wait "+address+" -1"), 1)
		outcome <- err
	}()
	require.Eventually(t, func() bool { return open() == 1 }, time.Minute, time.Millisecond)
	cancel()
	select {
	case err := <-outcome:
		require.Fail(t, "the call did not wait for the answer", "%v", err)
	case <-time.After(100 * time.Millisecond):
	}
	release()
	require.NoError(t, <-outcome, "the answer came")
}

// Waiting is not computing: it counts for no deadline, and others have the processor meanwhile.
func TestNetworkWaitIsNotComputing(t *testing.T) {
	address, open, release := silent(t)
	h := hosted(t, plugin.HostConfig{Parallel: 1})
	m, err := h.Compile(ctx, netGuest(t), quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	config := reaching(address)
	config.Trusted, config.Deadline, config.Network.Wait = false, 100*time.Millisecond, time.Hour
	p := openModule(t, m, config)
	require.Empty(t, said(t, p, "heard"))

	outcome := make(chan error, 1)
	go func() {
		_, err := p.Get(ctx, []byte("wait "+address+" -1"), 1)
		outcome <- err
	}()
	require.Eventually(t, func() bool { return open() == 1 }, time.Minute, time.Millisecond)
	other := openModule(t, m, config)
	for until := time.Now().Add(300 * time.Millisecond); time.Now().Before(until); {
		require.Empty(t, said(t, other, "heard"), "there is one turn, and the call that waits does not have it")
	}
	said(t, other, "sleep", "150")
	release()
	require.NoError(t, <-outcome)
	require.Zero(t, p.Stats().Restarts+other.Stats().Restarts)
	require.Zero(t, p.Stats().Limits[plugin.LimitDeadline])

	// What it computes between two waits counts as ever.
	_, err = say(p, "compute", fmt.Sprint(1<<40))
	require.ErrorIs(t, err, plugin.ErrDeadline)
	require.EqualValues(t, 1, p.Stats().Limits[plugin.LimitDeadline])
}

// Goroutines of a guest that wait for time do so.
func TestNetworkSleeping(t *testing.T) {
	address, _, _ := silent(t)
	p := openNet(t, reaching(address))
	for _, line := range []string{"sleep 150", "deadline " + address + " 150"} {
		began := time.Now()
		said(t, p, line)
		require.GreaterOrEqual(t, time.Since(began), 150*time.Millisecond, line)
	}
}

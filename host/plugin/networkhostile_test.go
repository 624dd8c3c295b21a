package plugin_test

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// A region outside the memory ends the instance, before anything is read or written.
func TestNetworkRegionsOutside(t *testing.T) {
	s := newEcho(t)
	address := "tcp://" + s.address
	regions := [][2]uint64{{netMemory, 1}, {netMemory - 1, 2}, {0, netMemory + 1}, {1<<32 - 1, 1}, {1<<32 - 1, 1<<32 - 1}, {1, 1<<32 - 1}, {1 << 31, 1 << 31}}
	for how, openGuest := range engines {
		for _, trusted := range []bool{true, false} {
			name := how + map[bool]string{true: ", trusted", false: ", metered"}[trusted]
			t.Run(name, func(t *testing.T) {
				config, clock := reaching(address), newClock()
				config.Trusted, config.Now, config.Network.MaxDials = trusted, clock.Now, 1000
				p, err := openGuest(ctx, guest(t, "netcalls"), config)
				require.NoError(t, err)
				defer p.Close(ctx)
				g := netCalls{t, p}
				for _, name := range []string{"dial", "conn_read", "conn_write", "conn_start_tls", "conn_error"} {
					for _, r := range regions {
						fd := g.connect(address)
						args := []uint64{fd, r[0], r[1], waitLong}
						if name == "dial" {
							args = args[1:]
						}
						_, err := g.try(netCall(name, args...))
						require.ErrorIs(t, err, plugin.ErrMemory, "%s %d", name, r)
						require.Zero(t, p.Stats().Network.Connections, "the instance has ended")
						clock.advance(time.Hour)
					}
				}
			})
		}
	}
}

// A guest that asks for every address reaches none, and everybody learns of it a few times.
func TestNetworkThatDialsEverything(t *testing.T) {
	s := newEcho(t)
	granted := "tcp://" + s.address
	var log logBuffer
	for how, trust := range trusts {
		t.Run(how, func(t *testing.T) {
			config := reaching(granted)
			config.Logger = log.logger()
			trust(&config)
			g := openNetCalls(t, config)
			for _, address := range []string{"tcp://169.254.169.254:80", "tcp://127.0.0.1:22", "tcp://[::1]:22", "tcp://[::ffff:127.0.0.1]:22", "tcp://localhost:22",
				"tcp://10.0.0.1:5432", "tls://example.com:443", "unix:///var/run/docker.sock", "tcp://[fe80::1%25lo]:80", "tcp://0.0.0.0:22", "tcp://2130706433:22"} {
				g.put(netData, []byte(address))
				n, err := g.repeat(100, "dial", netData, uint64(len(address)))
				require.NoError(t, err)
				require.Contains(t, []int{100 * negated(abi.ErrnoAccess), 100 * negated(abi.ErrnoInvalid)}, n, address)
			}
			stats := g.p.Stats().Network
			require.EqualValues(t, 11*100, stats.Refused)
			require.Zero(t, stats.Dials)
			require.Zero(t, stats.Connections)
			g.connect(granted)
		})
	}
	require.Contains(t, log.String(), "the guest was refused an address")
	require.Contains(t, log.String(), "169.254.169.254")
	require.Less(t, bytes.Count([]byte(log.String()), []byte("was refused an address")), 200, "of more than two thousand")
	require.Contains(t, log.String(), `msg="the guest makes a connection" plugin=guest shard=0 address=`+granted)
}

// A guest that leaks connections has as many as it may, whatever it does, and the host has none left
// when it ends.
func TestNetworkTenThousandConnections(t *testing.T) {
	s := newEcho(t)
	address := "tcp://" + s.address
	goroutines := runtime.NumGoroutine()
	config := reaching(address)
	config.Network.MaxConns, config.Network.MaxDials = 20, 1<<30
	g := openNetCalls(t, config)
	g.put(netData, []byte(address))
	_, err := g.repeat(10_000, "dial", netData, uint64(len(address)))
	require.NoError(t, err)
	stats := g.p.Stats()
	require.Equal(t, 20, stats.Network.Connections)
	require.EqualValues(t, 20, stats.Network.Dials)
	require.EqualValues(t, 10_000-20, stats.Network.Limited)
	require.EqualValues(t, 10_000-20, stats.Limits[plugin.LimitConnections])
	require.Eventually(t, func() bool { return s.open() == 20 }, time.Minute, time.Millisecond)
	require.NoError(t, g.p.Close(ctx))
	require.Eventually(t, func() bool { return s.open() == 0 }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+2 }, time.Minute, time.Millisecond, "the server has two")
}

// As many as there may be, made and closed over and over.
func TestNetworkDialsPerSecond(t *testing.T) {
	s := newEcho(t)
	config := reaching("tcp://" + s.address)
	config.Network.MaxDials = 10
	g := openNetCalls(t, config)
	began, made := time.Now(), 0
	for range 200 {
		fd := g.dial("tcp://" + s.address)
		if fd > 0 {
			made++
			g.call("conn_close", uint64(fd))
		}
	}
	require.GreaterOrEqual(t, made, 10)
	require.LessOrEqual(t, made, 11+int(10*time.Since(began).Seconds()))
	require.NotZero(t, g.p.Stats().Limits[plugin.LimitConnections])
}

// A guest that only calls functions of a network is ended by its fuel, as one that loops.
func TestNetworkCallsCostFuel(t *testing.T) {
	// The deadline is far away, since a slow machine must not reach it before the fuel is used up.
	s := newEcho(t)
	address := "tcp://" + s.address
	config, clock := reaching(address), newClock()
	config.Trusted, config.Fuel, config.Deadline, config.Now = false, 1<<30, time.Minute, clock.Now
	config.Network.MaxConns, config.Network.MaxDials = 1<<20, 1<<30
	g := openNetCalls(t, config)
	many := slices.Concat(slices.Repeat([][]byte{pollSocket(7, abi.FirstConn, false)}, 1024)...)
	for _, c := range []struct {
		name string
		args []uint64
	}{
		{"dial", []uint64{netData, 9}}, {"conn_wait", []uint64{0, 1, 0}}, {"conn_read", []uint64{0, netData, 1, 0}}, {"conn_write", []uint64{0, netData, 1, 0}},
		{"conn_error", []uint64{0, netData, 0}}, {"conn_close", []uint64{0}}, {"conn_start_tls", []uint64{0, netData, 1}},
		{"fd_read", []uint64{abi.FirstConn, netData, 0, netData}}, {"fd_fdstat_get", []uint64{abi.FirstConn, netData}}, {"sock_shutdown", []uint64{abi.FirstConn, 2}},
		{"poll_oneoff", []uint64{netData + 0x1000, netData + 0x80000, 1024, netData}},
	} {
		g.put(netData, []byte("tcp://a:1"))
		g.put(netData+0x1000, many[:48*1024])
		began := time.Now()
		err := g.forever(c.name, c.args...)
		require.ErrorIs(t, err, plugin.ErrFuel, c.name)
		require.Less(t, time.Since(began), 30*time.Second, c.name)
		clock.advance(time.Hour)
	}
}

// Poll takes as many subscriptions as connections may need, and no more.
func TestNetworkPollsMany(t *testing.T) {
	s := newEcho(t)
	g := openNetCalls(t, reaching("tcp://"+s.address))
	fd := g.connect("tcp://" + s.address)
	list := slices.Repeat([][]byte{pollSocket(7, fd, false)}, 1023)
	require.Equal(t, []event{{9, 0, 0}}, g.poll(append(list, pollClock(9, time.Millisecond))...), "a thousand that are not ready")
	require.Len(t, g.poll(slices.Repeat([][]byte{pollSocket(7, fd, true)}, 1024)...), 1024, "a thousand that are")
	require.Len(t, g.poll(slices.Repeat([][]byte{pollSocket(7, fd+1, true)}, 1024)...), 1024, "a thousand that are none")

	const inval, fault = 28, 21
	for _, args := range [][]uint64{{0, 0, 0, netData}, {0, 0, 1<<14 + 1, netData}, {0, 0, 1<<32 - 1, netData}} {
		require.Equal(t, inval, g.call("poll_oneoff", args...), "%d", args)
	}
	for _, args := range [][]uint64{{netMemory - 47, 0, 1, netData}, {0, netMemory - 31, 1, netData}, {0, 0, 1, netMemory - 3}, {1<<32 - 1, 0, 1, netData}} {
		require.Equal(t, fault, g.call("poll_oneoff", args...), "%d", args)
	}
	g.put(netData+0x1000, slices.Concat(pollSocket(7, fd, true), make([]byte, 8), []byte{9}, make([]byte, 39)))
	require.Equal(t, inval, g.call("poll_oneoff", netData+0x1000, netData+0x80000, 2, netData), "there is no such kind")
	// Events over the subscriptions.
	g.put(netData+0x1000, slices.Concat(slices.Repeat([][]byte{pollSocket(7, fd, true)}, 10)...))
	require.Zero(t, g.call("poll_oneoff", netData+0x1000, netData+0x1000, 10, netData))
	require.EqualValues(t, 10, g.region(netData, 1)[0])
	require.Zero(t, g.p.Stats().Restarts)
}

// A plugin that is granted nothing has no functions of a network, and a host that knows of none
// says which it does not know.
func TestNetworkWithoutGrant(t *testing.T) {
	wasm := guest(t, "netcalls")
	_, err := plugin.Open(ctx, wasm, quiet())
	require.ErrorIs(t, err, plugin.ErrGrant)
	require.ErrorContains(t, err, `"waddle_v1"."dial" is for guests that are granted "network"`)
	require.ErrorContains(t, err, "grant it by Config.Network")

	old := reaching("tcp://127.0.0.1:1")
	plugin.WithoutNetwork(&old)
	_, err = plugin.Open(ctx, wasm, old)
	require.ErrorIs(t, err, plugin.ErrImport)
	require.ErrorContains(t, err, `"waddle_v1"."dial"`)

	// Plugins of one module have what each is granted.
	s := newEcho(t)
	h := hosted(t, plugin.HostConfig{})
	m, err := h.Compile(ctx, wasm, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	p := openModule(t, m, reaching("tcp://"+s.address))
	netCalls{t, p}.connect("tcp://" + s.address)
	q := openModule(t, m, reaching("tcp://127.0.0.1:1"))
	require.Equal(t, negated(abi.ErrnoAccess), netCalls{t, q}.dial("tcp://"+s.address))
	_, err = m.Open(ctx, quiet())
	require.ErrorIs(t, err, plugin.ErrGrant)
	require.Zero(t, q.Stats().Network.Connections)
	require.EqualValues(t, 1, h.Stats().Connections.Used)
}

func TestNetworkConfig(t *testing.T) {
	prefix := netip.MustParsePrefix
	private := func(list ...netip.Prefix) *plugin.Host {
		return hosted(t, plugin.HostConfig{Private: append([]netip.Prefix{}, list...)})
	}
	tcp := []string{"tcp://a.example:1"}
	for _, c := range []struct {
		network plugin.Network
		host    *plugin.Host
		words   []string // of the refusal; none if there is none
	}{
		{network: plugin.Network{Allow: tcp}},
		{network: plugin.Network{Allow: []string{"tcp://a.example:1", "b.example:2"}}, words: []string{"Network: ", `"b.example:2"`, "tcp://"}},
		{network: plugin.Network{Allow: []string{"tcp://127.0.0.1:6379"}}, words: []string{"127.0.0.1", "Private"}},
		{network: plugin.Network{Allow: []string{"tcp://169.254.169.254:80"}, Private: []netip.Prefix{prefix("169.254.0.0/16")}}, words: []string{"never"}},
		{network: plugin.Network{Allow: tcp, TLS: &tls.Config{MaxVersion: tls.VersionTLS10}}, words: []string{"TLS 1.2"}},
		{network: plugin.Network{Allow: tcp, MaxConns: -1}, words: []string{"MaxConns is -1"}},
		{network: plugin.Network{Allow: tcp, MaxDials: -1}, words: []string{"MaxDials -1"}},
		{network: plugin.Network{Allow: tcp, Wait: -1}, words: []string{"Network.Wait is -1ns"}},
		{network: plugin.Network{Private: loopback}, words: []string{"Network.Allow is empty"}},
		{network: plugin.Network{Wait: 1}, words: []string{"Network.Allow is empty"}},
		{network: plugin.Network{Allow: tcp, Private: []netip.Prefix{{}}}, words: []string{"must be a range of addresses"}},
		{network: plugin.Network{Allow: tcp, Private: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("10.1.2.3"), 8)}}, words: []string{"must be a range of addresses"}},
		{network: plugin.Network{Allow: tcp, Private: []netip.Prefix{prefix("10.1.0.0/16")}}},
		{network: plugin.Network{Allow: tcp, Private: []netip.Prefix{prefix("10.1.0.0/16")}}, host: private(), words: []string{"Network.Private has 10.1.0.0/16", "HostConfig.Private, which is []"}},
		{network: plugin.Network{Allow: tcp, Private: []netip.Prefix{prefix("10.1.0.0/16")}}, host: private(prefix("10.0.0.0/8"))},
		{network: plugin.Network{Allow: tcp, Private: []netip.Prefix{prefix("10.0.0.0/8")}}, host: private(prefix("10.1.0.0/16")), words: []string{"must lie within HostConfig.Private, which is [10.1.0.0/16]"}},
		{network: plugin.Network{Allow: tcp, Private: []netip.Prefix{prefix("127.0.0.0/8")}}, host: private(prefix("10.0.0.0/8")), words: []string{"127.0.0.0/8"}},
	} {
		config := quiet()
		config.Network, config.Host = c.network, c.host
		p, err := plugin.Open(ctx, guest(t, "netcalls"), config)
		if len(c.words) == 0 {
			require.NoError(t, err)
			require.NoError(t, p.Close(ctx))
			continue
		}
		require.ErrorIs(t, err, plugin.ErrConfig, "%+v", c.network)
		for _, w := range c.words {
			require.ErrorContains(t, err, w)
		}
	}
}

// A plugin with a network has instances of its own, and says why.
func TestNetworkIsNotShared(t *testing.T) {
	s := newEcho(t)
	var log logBuffer
	config := reaching("tcp://" + s.address)
	config.Shared, config.Logger = true, log.logger()
	p := openNet(t, config)
	require.Equal(t, "quack", said(t, p, "call", "tcp://"+s.address, "quack"))
	require.False(t, p.Info().Shared)
	require.Contains(t, p.Info().NotShared, "connections belong to an instance")
	require.Contains(t, log.String(), "connections belong to an instance")
	require.Equal(t, "16", said(t, p, "many", "tcp://"+s.address, "16"))
}

// A server that cuts connections at any moment harms nobody: the guest gets an error and makes
// another connection.
func TestNetworkOfAServerThatCuts(t *testing.T) {
	s := newEcho(t)
	address := "tcp://" + s.address
	config := reaching(address)
	config.Network.MaxDials = 1 << 20
	p := openNet(t, config)
	end := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-end:
				return
			default:
				s.cut()
				time.Sleep(time.Millisecond)
			}
		}
	}()
	failures := 0
	for range 200 {
		for _, how := range []string{"call", "poll"} {
			text, err := say(p, how, address, "quack")
			if err != nil {
				require.ErrorIs(t, err, store.ErrUnavailable)
				failures++
				continue
			}
			require.Equal(t, "quack", text)
		}
	}
	close(end)
	<-done
	require.Equal(t, "quack", said(t, p, "call", address, "quack"))
	require.Zero(t, p.Stats().Restarts)
	t.Logf("%d of 400 failed", failures)
}

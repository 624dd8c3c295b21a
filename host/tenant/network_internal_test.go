package tenant

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// caller is a guest that makes the calls of a network that it is told, in the tests of package
// plugin: a set writes to its memory, and a get makes a call.
type caller struct {
	t *testing.T
	p *plugin.Plugin
}

func (c caller) dial(address string) int64 {
	c.t.Helper()
	const at = 0x10000
	require.NoError(c.t, c.p.Set(c.t.Context(), store.Write{Key: binary.LittleEndian.AppendUint32(nil, at), Value: []byte(address), Now: 1}))
	return c.call(0, at, uint64(len(address)))
}

func (c caller) call(function uint64, args ...uint64) int64 {
	c.t.Helper()
	block := binary.LittleEndian.AppendUint64(nil, function)
	for _, arg := range args {
		block = binary.LittleEndian.AppendUint64(block, arg)
	}
	b, err := c.p.Get(c.t.Context(), append(block, make([]byte, 56-len(block))...), 1)
	require.NoError(c.t, err)
	return int64(binary.LittleEndian.Uint64(b))
}

// A tenant's plugin reaches what its manifest lists and its host grants, with the limits of both.
func TestNetworkOfATenant(t *testing.T) {
	wasm, err := os.ReadFile("../plugin/testdata/netcalls.wasm")
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	address := "tcp://" + l.Addr().String()

	g := grounds{limits: Limits{Connections: 3}, network: Network{Grant: true, Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	m := Manifest{Name: "alice", Plugin: Source{Bytes: wasm, SHA256: Sum(wasm)}, Network: []string{address},
		Limits: Limits{NetworkWait: Duration(50 * time.Millisecond), Connections: 10}}
	p, err := g.resolve(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, 3, p.config.Network.MaxConns)
	p.config.NoCache = true
	opened, err := plugin.Open(t.Context(), p.wasm, p.config)
	require.NoError(t, err)
	defer opened.Close(t.Context())

	c := caller{t, opened}
	fd := c.dial(address)
	require.GreaterOrEqual(t, fd, int64(abi.FirstConn))
	conn, err := l.Accept()
	require.NoError(t, err)
	defer conn.Close()
	require.Equal(t, int64(-abi.ErrnoAccess), c.dial("tcp://127.0.0.1:1"))
	c.dial(address)
	c.dial(address)
	require.Equal(t, int64(-abi.ErrnoTooMany), c.dial(address), "limits.connections of the host")

	began := time.Now()
	const connRead = 2
	require.Equal(t, int64(-abi.ErrnoTimedOut), c.call(connRead, uint64(fd), 0x20000, 1, 1<<64-1))
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond, "limits.network_wait of the manifest")
	require.Less(t, time.Since(began), 4*time.Second, "and not that of the host")
}

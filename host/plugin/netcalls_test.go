package plugin_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// netCalls is the guest of testdata/netcalls.wat, which makes any call of a network that it is told.
type netCalls struct {
	t testing.TB
	p *plugin.Plugin
}

// The numbers of its functions.
var netFunctions = strings.Fields("dial conn_wait conn_read conn_write conn_start_tls conn_error conn_close fd_read fd_write fd_close " +
	"fd_fdstat_get fd_fdstat_set_flags fd_filestat_get sock_recv sock_send sock_shutdown poll_oneoff fd_seek fd_renumber sock_accept")

const (
	netRegion = 100 // returns a region
	netLoop   = 101 // calls a function for ever
	netRepeat = 102 // calls it so many times

	netData   = 0x10000  // where there is room
	netMemory = 64 << 16 // how large the memory is
)

func netBlock(function uint64, args ...uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, function)
	for i := range 6 {
		arg := uint64(0)
		if i < len(args) {
			arg = args[i]
		}
		b = binary.LittleEndian.AppendUint64(b, arg)
	}
	return b
}

func netCall(name string, args ...uint64) []byte {
	for i, f := range netFunctions {
		if f == name {
			return netBlock(uint64(i), args...)
		}
	}
	panic(name)
}

// call makes a call and returns its result.
func (g netCalls) call(name string, args ...uint64) int {
	g.t.Helper()
	n, err := g.try(netCall(name, args...))
	require.NoError(g.t, err, "%s %d", name, args)
	return n
}

// try makes a call that may fail.
func (g netCalls) try(block []byte) (int, error) {
	b, err := g.p.Get(ctx, block, 1)
	if err != nil {
		return 0, err
	}
	return int(int64(binary.LittleEndian.Uint64(b))), nil
}

// repeat makes a call so many times and returns the sum of its results.
func (g netCalls) repeat(times uint64, name string, args ...uint64) (int, error) {
	return g.try(append(netBlock(netRepeat, times), netCall(name, args...)...))
}

// forever makes a call until something ends it.
func (g netCalls) forever(name string, args ...uint64) error {
	_, err := g.try(append(netBlock(netLoop), netCall(name, args...)...))
	return err
}

// put writes to the guest's memory.
func (g netCalls) put(at uint32, b []byte) {
	g.t.Helper()
	require.NoError(g.t, g.p.Set(ctx, store.Write{Key: binary.LittleEndian.AppendUint32(nil, at), Value: b, Now: 1}))
}

// region reads the guest's memory.
func (g netCalls) region(at, size uint64) []byte {
	g.t.Helper()
	b, err := g.p.Get(ctx, netBlock(netRegion, at, size), 1)
	require.NoError(g.t, err)
	return b
}

// dial begins to make a connection.
func (g netCalls) dial(address string) int {
	g.t.Helper()
	g.put(netData, []byte(address))
	return g.call("dial", netData, uint64(len(address)))
}

// connect makes one.
func (g netCalls) connect(address string) uint64 {
	g.t.Helper()
	fd := g.dial(address)
	require.GreaterOrEqual(g.t, fd, abi.FirstConn)
	require.EqualValues(g.t, abi.WaitWrite, g.call("conn_wait", uint64(fd), uint64(abi.WaitWrite), waitLong))
	return uint64(fd)
}

// waitLong is a timeout that is none.
const waitLong = 1<<64 - 1

// negated is what a function returns for an error.
func negated(errno int32) int { return -int(errno) }

func openNetCalls(t testing.TB, config plugin.Config) netCalls {
	return netCalls{t, open(t, guest(t, "netcalls"), config)}
}

package plugin

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/plugin/internal/network"
)

// What functions of a network cost a guest, in fuel, beside callFuel: system calls, and for dialFuel a
// resolver, a handshake and buffers.
const (
	socketFuel = 1 << 14
	dialFuel   = 1 << 20
)

// networkFunctions are the functions of module waddle_v1 that reach a network.
func networkFunctions() []hostFunction {
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	function := func(name string, call func(c *connections, mod api.Module, stack []uint64) int32, params ...api.ValueType) hostFunction {
		return hostFunction{module: abi.ModuleName, name: name, params: params, results: []api.ValueType{i32},
			call: api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
				c := instanceOf(ctx).conns
				c.inst.charge(callFuel)
				stack[0] = api.EncodeI32(call(c, mod, stack))
			})}
	}
	return []hostFunction{
		function(abi.ImportDial, hostDial, i32, i32),
		function(abi.ImportConnWait, hostConnWait, i32, i32, i64),
		function(abi.ImportConnRead, hostConnRead, i32, i32, i32, i64),
		function(abi.ImportConnWrite, hostConnWrite, i32, i32, i32, i64),
		function(abi.ImportConnTLS, hostConnTLS, i32, i32, i32),
		function(abi.ImportConnError, hostConnError, i32, i32, i32),
		function(abi.ImportConnClose, hostConnClose, i32),
	}
}

// maxAddress is the longest address, or name, that a guest can mean anything by.
const maxAddress = 1024

// hostDial is dial (address_ptr, address_len i32) -> i32.
func hostDial(c *connections, mod api.Module, stack []uint64) int32 {
	c.inst.charge(dialFuel)
	text := region(mod, uint32(stack[0]), uint32(stack[1]))
	// Dial refuses an address that is too long, and says so; no more of it need be copied.
	fd, errno := c.Dial(string(text[:min(len(text), maxAddress+1)]))
	switch {
	case errno == abi.ErrnoTooMany:
		c.inst.machine.limits.count(LimitConnections)
		fallthrough
	case errno != 0:
		return -errno
	}
	c.inst.machine.log.dials(c.inst.shard, text)
	return fd
}

// hostConnWait is conn_wait (conn, events i32, timeout_ms i64) -> i32.
func hostConnWait(c *connections, _ api.Module, stack []uint64) int32 {
	conn, events := c.conn(stack[0]), int32(uint32(stack[1]))
	switch {
	case conn == nil:
		return -abi.ErrnoBadDescriptor
	case events <= 0 || events&^(abi.WaitRead|abi.WaitWrite) != 0:
		return -abi.ErrnoInvalid
	}
	ready := int32(0)
	errno := c.wait(timeoutOf(stack[2]), func(until network.Until) (errno int32) {
		ready, errno = conn.Wait(events, until)
		return errno
	})
	return outcome(int(ready), errno)
}

// hostConnRead is conn_read (conn, ptr, len i32, timeout_ms i64) -> i32.
func hostConnRead(c *connections, mod api.Module, stack []uint64) int32 {
	p := c.transfer(mod, stack)
	return c.move(stack[0], p, timeoutOf(stack[3]), (*network.Conn).Read)
}

// hostConnWrite is conn_write (conn, ptr, len i32, timeout_ms i64) -> i32.
func hostConnWrite(c *connections, mod api.Module, stack []uint64) int32 {
	p := c.transfer(mod, stack)
	return c.move(stack[0], p, timeoutOf(stack[3]), (*network.Conn).Write)
}

// transfer returns the region that a function reads or writes.
func (c *connections) transfer(mod api.Module, stack []uint64) []byte {
	p := region(mod, uint32(stack[1]), uint32(stack[2]))
	c.inst.charge(socketFuel + int64(len(p))/bytesPerFuel)
	return p
}

// move reads or writes, and waits for it.
func (c *connections) move(fd uint64, p []byte, timeout time.Duration, f func(*network.Conn, []byte, network.Until) (int, int32)) int32 {
	conn := c.conn(fd)
	switch {
	case conn == nil:
		return -abi.ErrnoBadDescriptor
	case len(p) == 0: // which must not look like the end
		return -abi.ErrnoInvalid
	}
	n := 0
	errno := c.wait(timeout, func(until network.Until) (errno int32) {
		n, errno = f(conn, p, until)
		return errno
	})
	return outcome(n, errno)
}

// hostConnTLS is conn_start_tls (conn, name_ptr, name_len i32) -> i32.
func hostConnTLS(c *connections, mod api.Module, stack []uint64) int32 {
	c.inst.charge(dialFuel)
	name := region(mod, uint32(stack[1]), uint32(stack[2]))
	conn := c.conn(stack[0])
	switch {
	case conn == nil:
		return -abi.ErrnoBadDescriptor
	case len(name) > maxAddress:
		return -abi.ErrnoInvalid
	}
	return -conn.StartTLS(string(name))
}

// hostConnError is conn_error (conn, ptr, len i32) -> i32. Where dial failed there is no connection,
// but a number less than 0.
func hostConnError(c *connections, mod api.Module, stack []uint64) int32 {
	to := region(mod, uint32(stack[1]), uint32(stack[2]))
	failure := ""
	if int32(uint32(stack[0])) < 0 {
		failure = c.Table.Failure()
	} else if conn := c.conn(stack[0]); conn != nil {
		failure = conn.Failure()
	} else {
		return -abi.ErrnoBadDescriptor
	}
	return int32(copy(to, printable.Cut([]byte(failure), len(to))))
}

// hostConnClose is conn_close (conn i32) -> i32.
func hostConnClose(c *connections, _ api.Module, stack []uint64) int32 {
	c.inst.charge(socketFuel)
	return -int32(c.Close(uint32(stack[0])))
}

func (c *connections) conn(fd uint64) *network.Conn { return c.Table.Conn(int32(uint32(fd))) }

// outcome is the result of a function: a number, or an error.
func outcome(n int, errno int32) int32 {
	if errno != 0 {
		return -errno
	}
	return int32(n)
}

// timeoutOf is a parameter in milliseconds: less than 0 is as long as the call may wait.
func timeoutOf(ms uint64) time.Duration {
	if d := int64(ms); d >= 0 {
		return time.Duration(min(d, longestTimeout.Milliseconds())) * time.Millisecond
	}
	return -1
}

const longestTimeout = 24 * time.Hour

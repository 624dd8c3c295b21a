package network

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// The numbers of connections.
const (
	firstConn = abi.FirstConn
	lastConn  = 1<<31 - 1
)

// Table is the connections of one instance, by number.
type Table struct {
	network *Network

	mu      sync.Mutex
	closed  bool
	next    int32
	conns   map[int32]*Conn
	left    map[*Conn]struct{} // closed, with something to send
	failure string
}

// Dial begins to make a connection. [Conn.Wait] tells of its end. An address that is not
// granted is refused at once, whatever is there.
func (t *Table) Dial(address string) (conn int32, errno int32) {
	n := t.network
	if n.ctx.Err() != nil {
		return 0, abi.ErrnoReset
	}
	target, err := parseTarget(address)
	if err != nil {
		t.fail(err.Error())
		n.refuse(quote(address), err.Error())
		return 0, abi.ErrnoInvalid
	}
	if why := n.refused(&target); why != "" {
		t.fail("it is not granted")
		n.refuse(target.text, why)
		return 0, abi.ErrnoAccess
	}
	if !n.dials.take(time.Now()) {
		n.counts.limited.Add(1)
		t.fail(fmt.Sprintf("more than %d connections a second", n.config.MaxDials))
		return 0, abi.ErrnoTooMany
	}
	if !n.takeConn() {
		n.counts.limited.Add(1)
		t.fail("too many connections are open")
		return 0, abi.ErrnoTooMany
	}
	c := newConn(t, target)
	fd, ok := t.add(c)
	if !ok {
		n.giveConn()
		return 0, abi.ErrnoReset
	}
	n.counts.dials.Add(1)
	return fd, 0
}

// refused says why an address is not dialled. It is "" if it is.
func (n *Network) refused(t *target) string {
	if n.grants(t) == nil {
		return "not granted"
	}
	if t.addr.IsValid() {
		return n.guard.check(t.addr)
	}
	return ""
}

// refuse counts what was refused, and tells of it.
func (n *Network) refuse(address, why string) {
	n.counts.refused.Add(1)
	n.tell(Event{Refused: true, Address: address, Why: why})
}

// add gives the connection a number, and starts to make it.
func (t *Table) add(c *Conn) (int32, bool) {
	n := t.network
	n.mu.Lock() // so that Close either finds the connection or is seen here
	defer n.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || n.closed {
		return 0, false
	}
	// A number is used once, as far as there are numbers: a guest may keep that of a
	// connection which the host has closed.
	for t.conns[t.next] != nil || t.next < firstConn {
		t.step()
	}
	c.fd = t.next
	t.conns[c.fd] = c
	t.step()
	n.work.Go(c.make)
	return c.fd, true
}

func (t *Table) step() {
	if t.next == lastConn {
		t.next = firstConn
	} else {
		t.next++
	}
}

func (t *Table) fail(words string) {
	t.mu.Lock()
	t.failure = words
	t.mu.Unlock()
}

// Failure says in words why the last [Table.Dial] that failed at once did so.
func (t *Table) Failure() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failure
}

// Conn returns a connection, or nil if there is none of that number.
func (t *Table) Conn(fd int32) *Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conns[fd]
}

// Reset cuts all connections. There can be new ones, whose numbers are others.
func (t *Table) Reset() {
	for _, c := range t.all() {
		t.remove(c)
		c.mu.Lock()
		c.cut()
		c.mu.Unlock()
	}
}

// Close cuts all connections, which ends every wait at once. There are no new ones.
func (t *Table) Close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.Reset()
	n := t.network
	n.mu.Lock()
	delete(n.tables, t)
	n.mu.Unlock()
}

// remove takes a connection out.
func (t *Table) remove(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns[c.fd] == c {
		delete(t.conns, c.fd)
	}
}

// keep takes a connection that is closed and has something to send. It returns false if
// there is no time for that.
func (t *Table) keep(c *Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.left[c] = struct{}{}
	}
	return !t.closed
}

// forget is the end of keep.
func (t *Table) forget(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.left, c)
}

// all returns the connections, with those that only have something to send.
func (t *Table) all() []*Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Values(t.conns)), maps.Keys(t.left))
}

// buffered returns how many bytes are held for all connections.
func (n *Network) buffered() (sum int64) {
	n.mu.Lock()
	tables := slices.Collect(maps.Keys(n.tables))
	n.mu.Unlock()
	for _, t := range tables {
		for _, c := range t.all() {
			sum += c.buffered()
		}
	}
	return sum
}

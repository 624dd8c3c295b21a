package backend

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Direction is where bytes go.
type Direction int

const (
	ToServer Direction = iota
	ToClient
)

// Proxy stands between clients and a server, and does what networks do. Its methods may be
// called at any time; they are about the connections that are open and those to come.
type Proxy struct {
	fail func(format string, args ...any)
	addr string
	wg   sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond // stalled, closed, or a connection has ended
	target   string
	listener net.Listener // nil while it refuses
	pairs    map[*pair]bool
	stalled  bool
	closed   bool
	cut      [2]int64 // bytes until a connection is cut; -1: none will be
	delay    time.Duration
	chunk    int

	accepted, cuts int64
	bytes          [2]int64
}

// pair is the connection of a client and the one to the server that belongs to it.
type pair struct {
	client, server net.Conn
	over           bool // guarded by Proxy.mu
}

// NewProxy starts a proxy before a server at host:port, or before a unix socket if the
// target has a slash. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{fail: t.Errorf, target: target, pairs: map[*pair]bool{}, cut: [2]int64{-1, -1}}
	p.changed = sync.NewCond(&p.mu)
	t.Cleanup(p.close)
	// A proxy that refuses connections gives its port up for a while.
	var err error
	for range 5 {
		var port int
		if port, err = freePort(); err != nil {
			break
		}
		p.addr = loopback(port)
		if err = p.listen(); err == nil {
			return p
		}
	}
	t.Fatal(err)
	return nil
}

// Addr returns the address for clients, as host:port.
func (p *Proxy) Addr() string { return p.addr }

// Port returns the port for clients.
func (p *Proxy) Port() int {
	addr, err := net.ResolveTCPAddr("tcp", p.addr)
	if err != nil {
		panic(err) // it is of our own making
	}
	return addr.Port
}

// SetTarget sends the connections to come to another server.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// CutAfter lets n more bytes pass in a direction, of all connections together, and then
// cuts the connection that has the next one. The n bytes arrive. Only one connection is
// cut: what comes after it passes.
func (p *Proxy) CutAfter(n int64, d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut[d] = n
}

// CutAll cuts all open connections, and forgets what [Proxy.CutAfter] has said. A
// connection is open when the first byte has come back.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = [2]int64{-1, -1}
	for c := range p.pairs {
		p.end(c)
	}
}

// Stall lets no byte pass in either direction. Connections stay open, and new ones are
// taken, until [Proxy.Resume].
func (p *Proxy) Stall() { p.stall(true) }

// Resume ends a stall: what has waited passes.
func (p *Proxy) Resume() { p.stall(false) }

func (p *Proxy) stall(stalled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = stalled
	p.changed.Broadcast()
}

// Slow lets at most chunk bytes pass at a time, each after a delay. A chunk of 0 ends it.
func (p *Proxy) Slow(chunk int, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chunk, p.delay = chunk, delay
}

// Refuse lets no new connection be made, as if nobody listened. Those that are open stay.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// Accept ends what [Proxy.Refuse] began.
func (p *Proxy) Accept() {
	if err := within(startWithin, p.listen); err != nil {
		p.fail("the proxy cannot listen: %v", err)
	}
}

func (p *Proxy) listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.closed {
		return nil
	}
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.listener = listener
	p.wg.Add(1)
	go p.serve(listener)
	return nil
}

// Connections returns how many connections the proxy has taken, and how many of those are
// open.
func (p *Proxy) Connections() (taken, open int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted, int64(len(p.pairs))
}

// Bytes returns how many bytes have passed in a direction.
func (p *Proxy) Bytes(d Direction) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes[d]
}

// Cuts returns how many connections [Proxy.CutAfter] has cut.
func (p *Proxy) Cuts() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

func (p *Proxy) close() {
	p.Refuse()
	p.mu.Lock()
	p.closed = true
	p.changed.Broadcast()
	p.mu.Unlock()
	p.CutAll()
	p.wg.Wait()
}

func (p *Proxy) serve(listener net.Listener) {
	defer p.wg.Done()
	for {
		client, err := listener.Accept()
		if err != nil {
			return // it was closed
		}
		p.wg.Add(1)
		go p.connect(client)
	}
}

func (p *Proxy) connect(client net.Conn) {
	defer p.wg.Done()
	p.mu.Lock()
	p.accepted++
	target := p.target
	p.mu.Unlock()
	network := "tcp"
	if strings.Contains(target, "/") {
		network = "unix"
	}
	server, err := net.DialTimeout(network, target, clientTimeout)
	if err != nil {
		_ = client.Close()
		return
	}
	c := &pair{client: client, server: server}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_, _ = client.Close(), server.Close()
		return
	}
	p.pairs[c] = true
	p.wg.Add(2)
	go p.pass(c, client, server, ToServer)
	go p.pass(c, server, client, ToClient)
}

// pass lets bytes pass in one direction until the connection ends.
func (p *Proxy) pass(c *pair, from, to net.Conn, d Direction) {
	defer p.wg.Done()
	buffer := make([]byte, 64<<10)
	for {
		p.mu.Lock()
		size, delay := len(buffer), time.Duration(0)
		if p.chunk > 0 {
			size, delay = min(size, p.chunk), p.delay
		}
		p.mu.Unlock()
		n, err := from.Read(buffer[:size])
		time.Sleep(delay)
		allowed, cut := p.allow(c, n, d)
		if allowed > 0 {
			if _, writeErr := to.Write(buffer[:allowed]); writeErr != nil {
				cut = true
			}
		}
		if cut || err != nil {
			p.mu.Lock()
			p.end(c)
			p.mu.Unlock()
			return
		}
	}
}

// allow returns how many of n bytes may pass, once they may, and whether the connection is
// to be cut after them.
func (p *Proxy) allow(c *pair, n int, d Direction) (allowed int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.stalled && !p.closed && !c.over {
		p.changed.Wait()
	}
	if c.over {
		return 0, true
	}
	if left := p.cut[d]; left >= 0 {
		if cut = int64(n) > left; cut {
			n = int(left)
			p.cut[d] = -1
			p.cuts++
		} else {
			p.cut[d] -= int64(n)
		}
	}
	p.bytes[d] += int64(n)
	return n, cut
}

// end closes a connection on both sides.
func (p *Proxy) end(c *pair) {
	if c.over {
		return
	}
	c.over = true
	delete(p.pairs, c)
	_, _ = c.client.Close(), c.server.Close()
	p.changed.Broadcast()
}

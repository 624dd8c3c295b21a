package topology

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

const (
	// mapEvery is how often the map of slots is read at most, where a redirect has said
	// already where a key is. soonestMap is how often if nothing else helps.
	mapEvery   = time.Second
	soonestMap = 50 * time.Millisecond

	// grace is how long answers are waited for that came, or could have come, while a
	// server was waited for that did not answer.
	grace = 100 * time.Millisecond
)

// Cluster returns the topology of a cluster. The addresses are those of some nodes; the
// others are learned from them.
func Cluster(o Options) Nodes {
	n := &cluster{core: core{Options: o}}
	for _, address := range o.Addresses {
		n.seeds = append(n.seeds, n.node(address))
	}
	return n
}

// cluster has a map that says which master has which slot. A map that is old, or wrong,
// costs a redirect for each slot until it has been read again.
type cluster struct {
	core
	seeds   []*server
	slots   [Slots]*server // nil: nobody is known to have it
	nodes   map[string]*server
	order   []*server // masters, for enumerations; nil: to be found again
	retired []*server // no longer in the map, but somebody may be about to use them
	scratch []byte

	stale  bool      // the map is to be read when it is time
	readAt time.Time // when it was read last
	failed uint64    // the round in which it could not be read
	err    error
	late   bool // grace was given
}

var (
	errUnserved = errors.New("no node of the cluster has the key's slot")
	errTooMany  = errors.New("the cluster names more than " + strconv.Itoa(mostNodes) + " nodes")
)

// mostNodes bounds what servers may make the guest remember. Clusters have up to 1000.
const mostNodes = 2000

func (n *cluster) Begin(now, until time.Time) {
	n.core.Begin(now, until)
	n.late = false
	for _, s := range n.retired {
		s.close()
	}
	n.retired = n.retired[:0]
	if n.stale && now.Sub(n.readAt) >= mapEvery {
		_ = n.read() // whoever needs it finds out
	}
}

// For returns the connection to the master of the key's slot. If that cannot be reached,
// another one may have the slot by now.
func (n *cluster) For(key []byte) (*resp.Conn, error) {
	slot := n.slot(key)
	s := n.slots[slot]
	if s == nil {
		if err := n.reread(); err != nil {
			return nil, err
		}
		if s = n.slots[slot]; s == nil {
			return nil, errUnserved
		}
	}
	conn, err := n.connect(s, n.Dial)
	if err == nil {
		return conn, nil
	}
	if n.reread() != nil || n.slots[slot] == s || n.slots[slot] == nil {
		return nil, wrap("the master of the key's slot, "+s.address, err)
	}
	return n.connect(n.slots[slot], n.Dial)
}

func (n *cluster) slot(key []byte) int {
	n.scratch = append(append(n.scratch[:0], n.Prefix...), key...)
	return Slot(n.scratch)
}

func (n *cluster) Redirect(refused resp.Error, key []byte) (*resp.Conn, bool, error) {
	slot := n.slot(key)
	switch code := refused.Code(); code {
	case "MOVED", "ASK":
		s, err := n.named(refused, n.slots[slot])
		if err != nil {
			return nil, false, err
		}
		if code == "MOVED" {
			n.move(slot, s)
			n.stale = true
			if n.inCall > 3 { // nodes that disagree send from one to the other and back
				n.pause()
			}
		}
		conn, err := n.connect(s, n.Dial)
		if err != nil {
			n.stale = true
			return nil, false, wrap("the cluster sends the key to "+s.address, err)
		}
		return conn, code == "ASK", nil
	case "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY":
		n.pause()
		_ = n.reread()
		conn, err := n.For(key)
		return conn, false, err
	}
	return nil, false, nil
}

// named returns the node that a redirect names. One without a host is at the host of the
// server that has answered.
func (n *cluster) named(refused resp.Error, from *server) (*server, error) {
	host, port, err := redirect(string(refused))
	if err != nil {
		return nil, err
	}
	if host == "" {
		if from == nil {
			return nil, errRedirect
		}
		host = hostOf(from.address)
	}
	to, err := address(host, port)
	if err != nil {
		return nil, err
	}
	if s := n.node(to); s != nil {
		return s, nil
	}
	return nil, errTooMany
}

// node returns the node of an address, or nil if there are too many.
func (n *cluster) node(address string) *server {
	if s := n.nodes[address]; s != nil {
		return s
	}
	if len(n.nodes) >= mostNodes {
		return nil
	}
	if n.nodes == nil {
		n.nodes = make(map[string]*server)
	}
	s := &server{address: address}
	n.nodes[address] = s
	return s
}

// move notes that a slot has another master.
func (n *cluster) move(slot int, to *server) {
	if n.slots[slot] != to {
		n.slots[slot] = to
		n.changed()
	}
}

func (n *cluster) changed() {
	n.layout++
	n.order = nil
}

func (n *cluster) Failed(conn *resp.Conn) {
	for _, s := range n.nodes {
		if s.conn == conn {
			n.lose(s)
			n.stale = true
		}
	}
	if !n.late && !time.Now().Before(n.until) {
		n.late = true
		for _, s := range n.nodes {
			if s.conn != nil && s.call == n.call {
				s.conn.SetDeadline(time.Now().Add(grace))
			}
		}
	}
}

// masters returns the nodes that have slots, in an order that depends on the map alone.
func (n *cluster) masters() []*server {
	if n.order == nil {
		seen := make(map[*server]bool)
		for _, s := range n.slots {
			if s != nil && !seen[s] {
				seen[s] = true
				n.order = append(n.order, s)
			}
		}
	}
	return n.order
}

func (n *cluster) Masters() ([]*resp.Conn, error) {
	if err := n.fresh(); err != nil {
		return nil, err
	}
	var conns []*resp.Conn
	for _, s := range n.masters() {
		conn, err := n.connect(s, n.Dial)
		if err != nil {
			return nil, wrap("the cluster's master at "+s.address, err)
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

// fresh sees to a map that is at most as old as the call, and has all slots: whoever asks
// all servers must not miss one.
func (n *cluster) fresh() error {
	if !n.readAt.After(n.now) {
		if err := n.read(); err != nil {
			return err
		}
	}
	if slices.Contains(n.slots[:], nil) {
		return errUnserved
	}
	return nil
}

func (n *cluster) Scan(place int64) (*resp.Conn, uint64, error) {
	if place == 0 || n.order == nil {
		if err := n.fresh(); err != nil {
			return nil, 0, err
		}
	}
	masters := n.masters()
	if len(masters) > mostMasters {
		return nil, 0, errors.New("the cluster has " + strconv.Itoa(len(masters)) + " masters: at most " + strconv.Itoa(mostMasters) + " can be enumerated")
	}
	s := masters[min(int(positionAt(place).node), len(masters)-1)]
	conn, err := n.connect(s, n.Dial)
	if err != nil {
		_ = n.reread() // so that the next call finds who has its slots now
		return nil, 0, wrap("the cluster's master at "+s.address, err)
	}
	cursor, err := n.begin(place)
	return conn, cursor, err
}

// Scanned reads the map again at the end of a pass: slots may have moved that nobody asked
// for.
func (n *cluster) Scanned(next uint64) (int64, error) {
	masters, before := len(n.masters()), n.layout
	if next == 0 && int(n.scanned.node)+1 >= masters {
		if err := n.read(); err != nil {
			return 0, err
		}
	}
	return n.end(next, masters, n.layout != before)
}

func (n *cluster) Close() {
	for _, s := range n.nodes {
		s.close()
	}
}

package topology

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

var (
	errMap      = errors.New("the server's list of slots is none")
	errRedirect = errors.New("the server redirects to no address")
)

// reread is read unless the map was read just now.
func (n *cluster) reread() error {
	if time.Since(n.readAt) < soonestMap {
		return nil
	}
	return n.read()
}

// read reads the map of slots from the first node that tells it. The old map stays if
// nobody does, which is found out once in a round.
func (n *cluster) read() error {
	if n.failed == n.round && n.err != nil {
		return n.err
	}
	var last error
	candidates := n.candidates()
	for i, s := range candidates {
		err := n.readFrom(s, len(candidates)-i)
		if err == nil {
			n.readAt, n.stale, n.err = time.Now(), false, nil
			return nil
		}
		if !time.Now().Before(n.until) {
			last = err
			break
		}
		last = wrap("the node at "+s.address, err)
	}
	n.failed, n.err = n.round, wrap("no node of the cluster tells who has which slots", last)
	return n.err
}

// candidates returns whom to ask: connected nodes first, and those last that answered
// nothing before.
func (n *cluster) candidates() []*server {
	var list []*server
	for _, s := range n.nodes {
		list = append(list, s)
	}
	rank := func(s *server) int {
		switch {
		case s.suspect:
			return 3
		case s.conn != nil:
			return 0
		case slices.Contains(n.seeds, s):
			return 1
		}
		return 2
	}
	slices.SortFunc(list, func(a, b *server) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a.address, b.address)
	})
	return list
}

// readFrom reads the map from one node. Those that have not been asked yet share the time
// that is left.
func (n *cluster) readFrom(s *server, left int) error {
	conn, err := n.connect(s, n.Dial)
	if err != nil {
		return err
	}
	if conn.Pending() > 0 {
		return errors.New("it has not answered yet")
	}
	conn.SetDeadline(n.share(s, min(left, 2)+1))
	conn.Do("CLUSTER", "SLOTS")
	r, err := conn.Read()
	if err != nil {
		s.suspect = isTimeout(err)
		s.close()
		return err
	}
	conn.SetDeadline(n.until)
	if err := r.Err(); err != nil {
		return err
	}
	ranges, err := slotRanges(&r, hostOf(s.address))
	if err != nil {
		return err
	}
	return n.take(ranges)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// slotRange are slots that one master has.
type slotRange struct {
	first, last int
	address     string
}

// slotRanges reads the answer to CLUSTER SLOTS: lists of the first slot, the last one, the
// master and its replicas, each of these a list of host, port and more. A host that is
// empty or null is that of the server that has answered.
func slotRanges(r *resp.Reply, host string) ([]slotRange, error) {
	if r.Kind != resp.Array {
		return nil, errMap
	}
	ranges := make([]slotRange, 0, len(r.Elements))
	for i := range r.Elements {
		e := &r.Elements[i]
		if e.Kind != resp.Array || len(e.Elements) < 3 {
			return nil, errMap
		}
		first, last, master := &e.Elements[0], &e.Elements[1], &e.Elements[2]
		if first.Kind != resp.Int || last.Kind != resp.Int || first.Int < 0 || last.Int < first.Int || last.Int >= Slots ||
			master.Kind != resp.Array || len(master.Elements) < 2 {
			return nil, errMap
		}
		at := host
		if name := &master.Elements[0]; name.Kind == resp.Bulk && len(name.Text) > 0 {
			at = string(name.Text)
		}
		if at == "?" { // the node does not know its own name yet
			continue
		}
		address, err := join(at, &master.Elements[1])
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, slotRange{int(first.Int), int(last.Int), address})
	}
	return ranges, nil
}

// take makes a list of slots the map. Connections to nodes that are not in it are
// closed at the beginning of the next call.
func (n *cluster) take(ranges []slotRange) error {
	if len(ranges) == 0 {
		return errors.New("it knows of no slots")
	}
	in := make(map[*server]bool)
	for _, r := range ranges {
		s := n.node(r.address)
		if s == nil {
			n.forget(nil) // those that only redirects named
			if s = n.node(r.address); s == nil {
				return errTooMany
			}
		}
		in[s] = true
		for slot := r.first; slot <= r.last; slot++ {
			n.move(slot, s)
		}
	}
	n.forget(in)
	return nil
}

// forget drops nodes that have no slots and are not among the first addresses.
func (n *cluster) forget(in map[*server]bool) {
	for _, s := range n.slots {
		if s != nil && in != nil && !in[s] {
			in[s] = true // of slots that the list leaves out
		}
	}
	for address, s := range n.nodes {
		if in == nil && slices.Contains(n.slots[:], s) || in[s] || slices.Contains(n.seeds, s) {
			continue
		}
		delete(n.nodes, address)
		if s.conn != nil {
			n.retired = append(n.retired, s)
		}
	}
}

// redirect reads "MOVED 3999 127.0.0.1:6381" or ASK. The host may be missing, and that of
// version 6 of the internet protocol has no brackets.
func redirect(refused string) (host, port string, err error) {
	fields := strings.Fields(refused)
	if len(fields) != 3 {
		return "", "", errRedirect
	}
	colon := strings.LastIndexByte(fields[2], ':')
	if colon < 0 {
		return "", "", errRedirect
	}
	host, port = fields[2][:colon], fields[2][colon+1:]
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return "", "", errRedirect
	}
	if host == "?" {
		host = ""
	}
	return host, port, nil
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return host
}

package topology

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// Sentinel returns the topology of a master that sentinels watch.
func Sentinel(o Options) Nodes {
	n := &sentinel{core: core{Options: o}}
	for _, address := range o.Addresses {
		n.sentinels = append(n.sentinels, &server{address: address})
	}
	return n
}

// sentinel asks for the master whenever there is no connection to it: in the beginning,
// after any failure of a connection, and when the server says that it takes no writes. A
// connection to a server that is no longer the master does not last: sentinels have it cut.
type sentinel struct {
	core
	sentinels []*server // the one that answered last comes first
	master    server

	failed uint64 // the round in which no master was found
	err    error
}

func (n *sentinel) For([]byte) (*resp.Conn, error) {
	if n.usable(&n.master) {
		return n.master.conn, nil
	}
	if n.failed == n.round && n.err != nil {
		return nil, n.err
	}
	conn, err := n.find()
	n.failed, n.err = n.round, err
	return conn, err
}

// find asks one sentinel after the other, until one names a server that says itself that
// it is the master.
func (n *sentinel) find() (*resp.Conn, error) {
	var errs []error
	tried := ""
	for i, s := range n.sentinels {
		address, err := n.ask(s, len(n.sentinels)-i)
		if err != nil {
			errs = append(errs, fmt.Errorf("the sentinel at %s: %w", s.address, err))
			continue
		}
		n.sentinels = slices.Insert(slices.Delete(n.sentinels, i, i+1), 0, s)
		if address == tried {
			continue // as another sentinel has said, and it was not
		}
		conn, err := n.take(address)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, fmt.Errorf("the sentinel at %s names %s: %w", s.address, address, err))
		tried = address
	}
	return nil, &unfound{errs}
}

// unfound is the error of a master that cannot be found. It is one line, and wraps what
// each sentinel has led to.
type unfound struct{ errs []error }

func (u *unfound) Error() string {
	var b strings.Builder
	b.WriteString("no sentinel knows a server that takes writes")
	for _, err := range u.errs {
		b.WriteString("; ")
		b.WriteString(err.Error())
	}
	return b.String()
}

func (u *unfound) Unwrap() []error { return u.errs }

// ask asks a sentinel for the master's address. Those that have not been asked yet share
// the time that is left.
func (n *sentinel) ask(s *server, left int) (address string, err error) {
	until := n.share(s, left+1)
	// Sentinels are asked so rarely that a connection is not worth keeping.
	conn, err := n.DialSentinel(s.address, until)
	if err != nil {
		s.suspect = !time.Now().Before(until)
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(until)
	conn.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", n.Master)
	r, err := conn.Read()
	s.suspect = err != nil && !time.Now().Before(until)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return "", err
	}
	if r.Kind == resp.Null {
		return "", fmt.Errorf("it watches no master named %q: the setting master must be a name that it knows", n.Master)
	}
	if r.Kind != resp.Array || len(r.Elements) != 2 {
		return "", errors.New("its answer is no address")
	}
	return join(string(r.Elements[0].Text), &r.Elements[1])
}

// take connects to a server and makes it the master, if it says that it is one. What
// sentinels say is old if they are cut off from the others.
func (n *sentinel) take(address string) (*resp.Conn, error) {
	if n.master.address != address {
		n.master.close()
		n.master = server{address: address, dialled: n.master.dialled}
	}
	conn, err := n.connect(&n.master, n.Dial)
	if err != nil {
		return nil, err
	}
	conn.Do("ROLE")
	r, err := conn.Read()
	if err == nil {
		err = r.Err()
	}
	if err == nil && (r.Kind != resp.Array || len(r.Elements) == 0 || string(r.Elements[0].Text) != "master") {
		err = errors.New("it says that it is not the master")
	}
	if err != nil {
		n.lose(&n.master)
		return nil, err
	}
	return conn, nil
}

func (n *sentinel) Redirect(refused resp.Error, key []byte) (*resp.Conn, bool, error) {
	switch refused.Code() {
	case "READONLY", "MASTERDOWN":
		n.master.close()
	case "LOADING":
	default:
		return nil, false, nil
	}
	n.pause()
	conn, err := n.For(key)
	return conn, false, err
}

func (n *sentinel) Failed(conn *resp.Conn) {
	if n.master.conn == conn {
		n.lose(&n.master)
	}
}

func (n *sentinel) Masters() ([]*resp.Conn, error) {
	conn, err := n.For(nil)
	return []*resp.Conn{conn}, err
}

func (n *sentinel) Scan(place int64) (*resp.Conn, uint64, error) {
	conn, err := n.For(nil)
	if err != nil {
		return nil, 0, err
	}
	cursor, err := n.begin(place)
	return conn, cursor, err
}

func (n *sentinel) Scanned(next uint64) (int64, error) { return n.end(next, 1, false) }

func (n *sentinel) Close() { n.master.close() }

// join makes an address of what a server says of another. Nobody can be dialled at what is
// no name and no number.
func join(host string, port *resp.Reply) (string, error) {
	number, ok := port.Number()
	if !ok || number < 1 || number > 65535 {
		return "", errors.New("a server names a port that is none")
	}
	return address(host, strconv.FormatInt(number, 10))
}

// longestHost is that of a name in the domain name system.
const longestHost = 255

func address(host, port string) (string, error) {
	if host == "" || len(host) > longestHost {
		return "", errors.New("a server names a host that is none")
	}
	for _, b := range []byte(host) {
		if b <= ' ' || b >= 0x7f || b == '/' || b == '@' || b == '[' || b == ']' {
			return "", errors.New("a server names a host that is none")
		}
	}
	return net.JoinHostPort(host, port), nil
}

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

// Sentinel returns the topology of a master that sentinels watch.
func Sentinel(o Options) Nodes {
	n := &sentinel{core: core{Options: o}}
	for _, address := range o.Addresses {
		n.sentinels = append(n.sentinels, &server{address: address})
	}
	return n
}

// sentinel asks for the master whenever there is no connection to it: in the beginning,
// after any failure of a connection, and when the server says that it takes no writes.
//
// It also asks every now and then. When an administrator has another server made the
// master, the old one takes writes for ten seconds more, and loses them.
type sentinel struct {
	core
	sentinels []*server // the one that answered last comes first
	master    server
	asked     time.Time

	failed uint64 // the round in which no master was found
	err    error
}

// askEvery is how often a sentinel is asked, while the server is in use, whether it is
// still the master.
const askEvery = 500 * time.Millisecond

func (n *sentinel) For([]byte) (*resp.Conn, error) {
	if n.usable(&n.master) {
		if n.now.Sub(n.asked) >= askEvery {
			n.confirm()
		}
		return n.master.conn, nil
	}
	if n.failed == n.round && n.err != nil {
		return nil, n.err
	}
	conn, err := n.find()
	n.failed, n.err = n.round, err
	return conn, err
}

// confirm asks one sentinel for the master, and leaves the server if another one says of
// itself that it is. Without an answer nothing changes: sessions do not need sentinels.
func (n *sentinel) confirm() {
	n.asked = n.now
	s := n.sentinels[0]
	soon := time.Now().Add(suspectWait)
	if n.until.Before(soon) {
		soon = n.until
	}
	address, err := n.ask(s, soon)
	if err != nil {
		n.sentinels = append(slices.Delete(n.sentinels, 0, 1), s)
		return
	}
	if address != n.master.address {
		_ = n.take(address)
	}
}

// find asks one sentinel after the other, until one names a server that says itself that
// it is the master.
func (n *sentinel) find() (*resp.Conn, error) {
	var errs []error
	tried := ""
	for i, s := range n.sentinels {
		// Those that have not been asked yet share the time that is left.
		address, err := n.ask(s, n.share(s, len(n.sentinels)-i+1))
		if err != nil {
			errs = append(errs, wrap("the sentinel at "+s.address, err))
			continue
		}
		if address == tried {
			continue // as another sentinel has said, and it was not
		}
		err = n.take(address)
		if err == nil {
			n.sentinels = slices.Insert(slices.Delete(n.sentinels, i, i+1), 0, s)
			n.asked = n.now
			return n.master.conn, nil
		}
		errs = append(errs, wrap("the sentinel at "+s.address+" names "+address, err))
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

// ask asks a sentinel for the master's address.
func (n *sentinel) ask(s *server, until time.Time) (address string, err error) {
	conn := s.conn
	if !n.usable(s) {
		if conn, err = n.reach(s, n.DialSentinel, until); err != nil {
			return "", err
		}
	}
	conn.SetDeadline(until)
	conn.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", n.Master)
	r, err := conn.Read()
	if err != nil {
		s.suspect = s.suspect || !time.Now().Before(until)
		s.close()
		return "", err
	}
	switch {
	case r.Kind == resp.Failed:
		return "", r.Err()
	case r.Kind == resp.Null:
		return "", errors.New("it watches no master named " + strconv.Quote(n.Master) + ": the setting master must be a name that it knows")
	case r.Kind != resp.Array || len(r.Elements) != 2:
		return "", errors.New("its answer is no address")
	}
	return join(string(r.Elements[0].Text), &r.Elements[1])
}

// take makes a server the master, if it says that it is one. What sentinels say is old if
// they are cut off from the others.
func (n *sentinel) take(address string) error {
	s := &n.master
	if s.address != address {
		s = &server{address: address}
	}
	conn, err := n.connect(s, n.Dial)
	if err != nil {
		return err
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
		n.lose(s)
		return err
	}
	if s != &n.master {
		n.master.close()
		n.master = *s
		n.conns++
	}
	return nil
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

func (n *sentinel) Close() {
	n.master.close()
	for _, s := range n.sentinels {
		s.close()
	}
}

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

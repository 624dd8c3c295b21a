package topology

import "github.com/waddle-sessions/waddle/guest/engines/redis/resp"

// Standalone returns the topology of one server. The first address is its.
func Standalone(o Options) Nodes {
	return &standalone{core: core{Options: o}, server: server{address: o.Addresses[0]}}
}

type standalone struct {
	core
	server server
}

func (n *standalone) For([]byte) (*resp.Conn, error) { return n.connect(&n.server, n.Dial) }

func (n *standalone) Redirect(refused resp.Error, key []byte) (*resp.Conn, bool, error) {
	switch refused.Code() {
	case "READONLY":
		// It has become a replica. Its name may lead to another server now.
		n.server.close()
	case "LOADING", "MASTERDOWN":
	default:
		return nil, false, nil
	}
	n.pause()
	conn, err := n.For(key)
	return conn, false, err
}

func (n *standalone) Failed(conn *resp.Conn) {
	if n.server.conn == conn {
		n.lose(&n.server)
	}
}

func (n *standalone) Masters() ([]*resp.Conn, error) {
	conn, err := n.For(nil)
	return []*resp.Conn{conn}, err
}

func (n *standalone) Scan(place int64) (*resp.Conn, uint64, error) {
	conn, err := n.For(nil)
	if err != nil {
		return nil, 0, err
	}
	cursor, err := n.begin(place)
	return conn, cursor, err
}

func (n *standalone) Scanned(next uint64) (int64, error) { return n.end(next, 1, false) }

func (n *standalone) Close() { n.server.close() }

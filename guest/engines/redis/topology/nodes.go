package topology

import (
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// Nodes are the servers that keep the records. They are for one goroutine.
type Nodes interface {
	// Begin begins a call, which waits until a moment at the latest, and its first round.
	Begin(now, until time.Time)

	// Round begins another round of commands within the call. It forgets that a server could not
	// be reached, so that it is tried once in each round.
	Round()

	// For returns a connection to the server of a key. If there is none now, the error
	// says why, and may be an error of the dialer.
	For(key []byte) (*resp.Conn, error)

	// Redirect returns the connection over which to send a command again that a server
	// has turned away, and whether it must be preceded by ASKING in the same write. If the
	// servers are not ready it waits for a moment, once in a round. The connection is nil
	// if the error says nothing about where a key is.
	Redirect(refused resp.Error, key []byte) (conn *resp.Conn, asking bool, err error)

	// Failed says that a connection has failed, with its error. Commands that were sent
	// over it may have been done.
	Failed(conn *resp.Conn)

	// Masters returns connections to all servers that keep records.
	Masters() ([]*resp.Conn, error)

	// Scan returns the server to send SCAN to, and with which cursor, for a place in an
	// enumeration of all servers. It begins at 0. When the answer is there, Scanned takes
	// the cursor in it and returns the place that follows, which is 0 at the end.
	Scan(place int64) (conn *resp.Conn, cursor uint64, err error)
	Scanned(next uint64) (place int64, err error)

	// Close ends all connections.
	Close()
}

// Options say where the servers are.
type Options struct {
	// Addresses of the server, of the sentinels, or of some nodes of the cluster.
	Addresses []string

	// Prefix is what stands before each key on the servers.
	Prefix []byte

	// Dial connects to a server that keeps records, until a moment at the latest, and
	// logs in.
	Dial func(address string, until time.Time) (*resp.Conn, error)

	// DialSentinel connects to a sentinel and logs in.
	DialSentinel func(address string, until time.Time) (*resp.Conn, error)

	// Master is the name by which the sentinels know the master.
	Master string
}

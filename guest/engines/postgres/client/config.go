package client

import (
	"net"
	"strings"
	"time"
)

// Config says where a server is and who logs in.
type Config struct {
	// User logs in with Password, if the server asks for one. Database is where the
	// statements run. Application is the name that the server shows of this client.
	User, Password, Database, Application string

	// TLS begins TLS before anything else is sent. A server without it is refused.
	TLS bool

	// Dial connects to an address over a network, "tcp" or "unix".
	Dial func(network, address string, until time.Time) (Link, error)

	// Random fills b with bytes that nobody can predict.
	Random func(b []byte)

	// MaxMessage is the most bytes that a message of the server may have.
	MaxMessage int

	keys scramKeys // of the last log-in, which cost much to make
}

// Link is a connection below the protocol. That of package network is one.
type Link interface {
	net.Conn

	// StartTLS begins TLS. The server must have a certificate for name.
	StartTLS(name string) error

	// Alive reports whether the other side has neither closed the connection nor sent
	// anything that was not asked for.
	Alive() bool
}

// network returns the network of an address: host:port, or the path of a socket.
func network(address string) string {
	if strings.HasPrefix(address, "/") {
		return "unix"
	}
	return "tcp"
}

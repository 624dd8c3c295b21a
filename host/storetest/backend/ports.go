package backend

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports of servers are below those that systems give to outgoing connections, so that
// none of these has a server's port when it is started again.
const (
	firstPort = 12000
	lastPort  = 32000
)

// freePort returns a port of 127.0.0.1 that nobody listens on.
func freePort() (int, error) {
	var last error
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", loopback(port))
		if err == nil {
			_ = l.Close()
			return port, nil
		}
		last = err
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1: %w", last)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

package backend

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The ports of servers are below those that systems give to outgoing connections, so that
// none of these has a server's port when it is started again.
const (
	firstPort = 12000
	lastPort  = 32000
)

// given are the ports that this process has had, so that none is given twice. Another
// process that looks for a free port has this one's for a moment, and now and then takes it.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// freePort returns a port of 127.0.0.1 that nobody listens on.
func freePort() (int, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = make(map[int]bool)
	}
	var last error
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if given.ports[port] {
			continue
		}
		l, err := net.Listen("tcp", loopback(port))
		if err == nil {
			_ = l.Close()
			given.ports[port] = true
			return port, nil
		}
		last = err
	}
	return 0, fmt.Errorf("no free port on 127.0.0.1: %w", last)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

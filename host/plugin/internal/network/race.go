package network

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// headStart is how long the next address waits for the one before it, as RFC 8305 advises.
const headStart = 250 * time.Millisecond

// race connects to the address that answers first. Each has a head start before the next,
// unless it fails. The others are given up.
func (n *Network) race(ctx context.Context, ends []netip.AddrPort) (net.Conn, *failure) {
	ends = alternate(ends)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	running := 0
	start := func() {
		end := ends[0]
		ends = ends[1:]
		running++
		n.work.Go(func() {
			conn, err := n.dial(ctx, end)
			select {
			case results <- result{conn, err}:
			case <-ctx.Done():
				if conn != nil {
					conn.Close()
				}
			}
		})
	}
	start()
	next := time.NewTimer(headStart)
	defer next.Stop()
	var first error
	for {
		select {
		case <-ctx.Done():
			return nil, failed(ctx.Err())
		case r := <-results:
			if r.err == nil {
				return r.conn, nil
			}
			if first == nil {
				first = r.err
			}
			running--
		case <-next.C:
		}
		switch {
		case len(ends) > 0:
			start()
			next.Reset(headStart)
		case running == 0:
			return nil, failed(first)
		}
	}
}

// alternate puts addresses of both families in turn, in the order in which each has them.
func alternate(ends []netip.AddrPort) []netip.AddrPort {
	var families [2][]netip.AddrPort
	for _, e := range ends {
		i := 0
		if e.Addr().Is4() != ends[0].Addr().Is4() {
			i = 1
		}
		families[i] = append(families[i], e)
	}
	var all []netip.AddrPort
	for i := range max(len(families[0]), len(families[1])) {
		for _, f := range families {
			if i < len(f) {
				all = append(all, f[i])
			}
		}
	}
	return all
}

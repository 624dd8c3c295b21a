package table

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

// pool keeps connections. There is never more than one user of it, so that the connections
// differ only in what is being done over them at the same time.
type pool struct {
	options *Options
	conns   []pooled
	address int // the number of the one that was the right one last
}

type pooled struct {
	*client.Conn
	used, asked time.Time // when it was used last, and asked whether it lives
}

// take returns at least one and up to n connections. It makes those that are missing.
func (p *pool) take(n int, until time.Time) ([]pooled, error) {
	n = min(n, p.options.Connections)
	p.conns = p.keep(func(c *pooled) bool { return c.Alive() })
	for len(p.conns) < n {
		c, err := p.dial(until)
		if err != nil && len(p.conns) == 0 {
			return nil, err
		}
		if err != nil {
			break // it is slower with fewer
		}
		p.conns = append(p.conns, pooled{Conn: c})
	}
	taken := p.conns[:min(n, len(p.conns))]
	now := time.Now()
	for i := range taken {
		taken[i].used, taken[i].asked = now, now
		taken[i].SetDeadline(until)
	}
	return taken, nil
}

// keep closes the connections of which good says false, and returns the others.
func (p *pool) keep(good func(c *pooled) bool) []pooled {
	kept := p.conns[:0]
	for i := range p.conns {
		if c := &p.conns[i]; good(c) {
			kept = append(kept, *c)
		} else {
			c.Close()
		}
	}
	clear(p.conns[len(kept):])
	return kept
}

// drop closes all connections: what has happened to one has probably happened to all.
func (p *pool) drop() { p.conns = p.keep(func(*pooled) bool { return false }) }

// dial connects to the first address, from the last good one on, whose server takes writes.
func (p *pool) dial(until time.Time) (*client.Conn, error) {
	var errs []error
	all := p.options.Addresses
	for i := range all {
		n := (p.address + i) % len(all)
		// One that does not answer must leave time for the others.
		share := time.Now().Add(time.Until(until) / time.Duration(len(all)-i))
		c, err := p.connect(all[n], share)
		if err == nil {
			p.address = n
			return c, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", all[n], err))
	}
	return nil, errors.Join(errs...)
}

func (p *pool) connect(address string, until time.Time) (*client.Conn, error) {
	c, err := p.options.Client.Connect(address, until)
	if err != nil {
		return nil, err
	}
	if c.Standby {
		c.Close()
		return nil, errStandby
	}
	if p.options.blind {
		c.Pooled = false
	}
	if p.options.Unprepared {
		c.Forget()
	}
	if c.Pooled {
		return c, nil // each transaction sets what it needs
	}
	settings := "SET statement_timeout = " + strconv.FormatInt(p.options.Timeout.Milliseconds(), 10)
	if p.options.SyncCommit != "" {
		settings += "; SET synchronous_commit = " + quoteText(p.options.SyncCommit)
	}
	if err := c.Exec(settings); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

const (
	// pingAfter is how long a connection may be idle before it is asked whether it lives:
	// what stands in between forgets connections after minutes.
	pingAfter = 45 * time.Second

	// spareFor is how long a connection is kept that is not needed.
	spareFor = 5 * time.Minute

	pingTime = 2 * time.Second
)

// idle looks after connections that nobody uses. It returns when it wants to do so again.
func (p *pool) idle() (next time.Duration) {
	now := time.Now()
	first := true
	p.conns = p.keep(func(c *pooled) bool {
		spare := !first && now.Sub(c.used) > spareFor
		first = false
		return !spare && c.Alive()
	})
	for i := range p.conns {
		c := &p.conns[i]
		if now.Sub(c.asked) < pingAfter {
			continue
		}
		c.asked = now
		c.SetDeadline(now.Add(pingTime))
		c.Sync()
		if c.Flush() == nil {
			_ = c.Synced() // a connection that is lost is dropped next time
		}
		break // one at a time: a ping takes a round trip
	}
	if len(p.conns) == 0 {
		return spareFor
	}
	return pingAfter / 3
}

package network

import (
	"context"
	"crypto/tls"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What bounds are if a [Config] does not say.
const (
	DefaultMaxConns = 64
	DefaultMaxDials = 64
	DefaultTimeout  = 10 * time.Second
)

// Config says what a plugin may reach.
type Config struct {
	// Allow lists what is granted:
	//
	//	tcp://db.example.com:5432
	//	tls://*.cache.example.com:6379-6390
	//	tcp://10.1.0.0/16:6379
	//	tcp://[fd00::1]:6379
	//	tcp://[fd00::/8]:6379
	//	unix:///run/redis.sock
	//
	// tls:// is TLS from the first byte. tcp:// may be that too, or become it in band.
	Allow []string

	// Private lists the ranges that are not public which names and addresses of Allow may
	// lead to. Link-local, metadata, unspecified and multicast addresses are never reached.
	Private []netip.Prefix

	// Bound is what Private may list, for all plugins of a host. Nil is no bound.
	Bound []netip.Prefix

	// TLS has the roots, client certificates and least version of TLS. Nil is the system's
	// roots, and TLS 1.2. Names are verified unless it says InsecureSkipVerify. If it has a
	// ServerName, certificates must have that name instead of the address's.
	TLS *tls.Config

	MaxConns int           // open, or being made, at once; 0 is DefaultMaxConns
	MaxDials int           // begun within a second; 0 is DefaultMaxDials
	Timeout  time.Duration // for making a connection, and for a handshake in band; 0 is DefaultTimeout

	// Host is a bound that the plugins of a host share. It may be nil.
	Host *Host

	// Lookup returns the addresses of a name. Nil asks the system.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)

	// Tell is told what was refused and what failed, for the log. It may be nil. It is
	// called from several goroutines and must not call Close.
	Tell func(Event)

	linger   time.Duration // 0 is linger; tests set it
	portable bool          // as on systems where calls cannot be kept from waiting; for tests
}

// Network is what one plugin may reach.
type Network struct {
	config   Config
	patterns []pattern
	guard    guard
	counts   counts
	dials    bucket
	told     bucket
	missed   atomic.Int64
	endings  endings

	ctx    context.Context // ends with the network
	cancel context.CancelFunc
	work   sync.WaitGroup // the goroutines of all connections

	mu     sync.Mutex
	closed bool
	tables map[*Table]struct{}
}

// New parses what is granted. Its errors are [ErrPattern] and [ErrTLS] with detail.
func New(config Config) (*Network, error) {
	if config.MaxConns == 0 {
		config.MaxConns = DefaultMaxConns
	}
	if config.MaxDials == 0 {
		config.MaxDials = DefaultMaxDials
	}
	if config.Timeout == 0 {
		config.Timeout = DefaultTimeout
	}
	if config.linger == 0 {
		config.linger = linger
	}
	if config.Lookup == nil {
		config.Lookup = lookup
	}
	var err error
	if config.TLS, err = tlsConfig(config.TLS); err != nil {
		return nil, err
	}
	n := &Network{
		config: config, guard: guard{config.Private, config.Bound}, tables: map[*Table]struct{}{},
		dials: bucket{rate: config.MaxDials}, told: bucket{rate: maxTold},
	}
	for _, text := range config.Allow {
		p, err := parsePattern(text)
		if err == nil {
			err = n.guard.pattern(&p)
		}
		if err != nil {
			return nil, err
		}
		n.patterns = append(n.patterns, p)
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n, nil
}

// Open makes the connections of one instance, of which there are none at first.
func (n *Network) Open() *Table {
	t := &Table{network: n, next: firstConn, conns: map[int32]*Conn{}, left: map[*Conn]struct{}{}}
	n.mu.Lock()
	defer n.mu.Unlock()
	t.closed = n.closed
	if !t.closed {
		n.tables[t] = struct{}{}
	}
	return t
}

// Close cuts all connections, which ends every wait at once, and returns when nothing of
// them is left. There are no new ones afterwards.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	tables := slices.Collect(maps.Keys(n.tables))
	n.mu.Unlock()
	n.cancel()
	n.endings.close()
	for _, t := range tables {
		t.Close()
	}
	n.work.Wait()
	return nil
}

// grants returns the first pattern that has the address, or nil.
func (n *Network) grants(t *target) *pattern {
	for i := range n.patterns {
		if n.patterns[i].matches(t) {
			return &n.patterns[i]
		}
	}
	return nil
}

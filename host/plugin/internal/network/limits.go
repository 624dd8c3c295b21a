package network

import (
	"sync"
	"sync/atomic"
	"time"
)

// Host is a bound on the connections of several networks together.
type Host struct {
	most int64
	open atomic.Int64
}

// NewHost returns a bound.
func NewHost(maxConns int) *Host { return &Host{most: int64(maxConns)} }

// Conns returns how many connections are open, or being made.
func (h *Host) Conns() int { return int(h.open.Load()) }

// take adds one to a count, unless that goes beyond the most.
func take(count *atomic.Int64, most int64) bool {
	if count.Add(1) > most {
		count.Add(-1)
		return false
	}
	return true
}

// takeConn takes room for one connection, for [Network.giveConn] to give back.
func (n *Network) takeConn() bool {
	if !take(&n.counts.conns, int64(n.config.MaxConns)) {
		return false
	}
	if h := n.config.Host; h != nil && !take(&h.open, h.most) {
		n.counts.conns.Add(-1)
		return false
	}
	return true
}

func (n *Network) giveConn() {
	n.counts.conns.Add(-1)
	if h := n.config.Host; h != nil {
		h.open.Add(-1)
	}
}

// bucket lets a number of things happen within a second, all at once if there were none
// before.
type bucket struct {
	rate int

	mu   sync.Mutex
	left float64
	at   time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.left = float64(b.rate)
	} else {
		b.left = min(float64(b.rate), b.left+now.Sub(b.at).Seconds()*float64(b.rate))
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

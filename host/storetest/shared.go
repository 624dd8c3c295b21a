package storetest

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// sharing is how many hosts the checks of the group shared have.
const sharing = 3

// hosts opens that many stores with the same records.
func (p *Probe) hosts(n int) []*Subject {
	all := []*Subject{p.Store()}
	for len(all) < n {
		all = append(all, p.Peer(all[0]))
	}
	return all
}

// withHosts is a check with several hosts.
func withHosts(f func(p *Probe, hosts []*Subject)) func(*Probe) {
	return func(p *Probe) { f(p, p.hosts(sharing)) }
}

// inEachRole runs f with each host as the first, the second and the third, and with a key
// of its own each time.
func inEachRole(hosts []*Subject, f func(key []byte, a, b, c *Subject)) {
	for i := range hosts {
		for turn := 1; turn < len(hosts); turn++ {
			j := (i + turn) % len(hosts)
			third := len(hosts) - i - j // of 0, 1 and 2
			f(fmt.Appendf(nil, "key %d %d", i, turn), hosts[i], hosts[j], hosts[third])
		}
	}
}

// allGet requires a value of every host.
func allGet(hosts []*Subject, key []byte, now store.Millis, want []byte) {
	for _, s := range hosts {
		s.Get(key, now, want)
	}
}

// allAbsent requires that there is no record for any host.
func allAbsent(hosts []*Subject, key []byte, now store.Millis) {
	for _, s := range hosts {
		s.Absent(key, now)
	}
}

// wins reports whether a write was done. Any answer but CONFLICT ends the check.
func (s *Subject) wins(w store.Write) bool {
	err := s.TrySet(w)
	if errors.Is(err, store.ErrConflict) {
		return false
	}
	s.want(err, nil)
	return true
}

// workers is how many goroutines of each host the checks have that let hosts race: calls
// of one host at the same time may take another way than calls one by one.
const workers = 3

// race runs f in several goroutines of each host at once.
func race(p *Probe, hosts []*Subject, f func(worker int, s *Subject)) {
	p.Together(len(hosts)*workers, func(i int) { f(i, hosts[i%len(hosts)]) })
}

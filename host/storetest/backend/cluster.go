package backend

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Slots is how many slots the keys of a cluster are spread over.
const Slots = 16384

// ClusterOptions says what a cluster is like. The zero value has three masters without
// replicas.
type ClusterOptions struct {
	Program     string        // as in [RedisOptions]
	Masters     int           // 0: 3
	Replicas    int           // of each master
	NodeTimeout time.Duration // how long a node is silent before it is down; 0: 1 s

	Password string
	Users    []string
	TLS      *Certificates
	Persist  bool

	// Announce returns the settings that say which address a node tells to clients; nil:
	// its own. "cluster-announce-hostname" is one such setting.
	Announce func(port int) []string
	Settings []string
}

// RedisCluster is a cluster.
type RedisCluster struct {
	Nodes []*Server // the masters in the beginning come first
	fail  func(format string, args ...any)
}

// Cluster starts a cluster, which ends with the test. It takes commands for all slots when
// it returns, and its replicas have copies.
func Cluster(t testing.TB, o ClusterOptions) *RedisCluster {
	t.Helper()
	o.Masters = orElse(o.Masters, 3)
	o.NodeTimeout = orElse(o.NodeTimeout, time.Second)
	g := &RedisCluster{fail: t.Errorf}
	for range o.Masters * (1 + o.Replicas) {
		bus, err := freePort()
		require(t, err)
		s, err := startRedis(instance{bus: bus, announce: o.Announce, RedisOptions: RedisOptions{
			Program: o.Program, Password: o.Password, Users: o.Users, TLS: o.TLS, Persist: o.Persist,
			Settings: append([]string{
				"cluster-enabled yes",
				"cluster-config-file nodes.conf",
				"cluster-port " + strconv.Itoa(bus),
				fmt.Sprintf("cluster-node-timeout %d", o.NodeTimeout.Milliseconds()),
				"cluster-replica-validity-factor 0",
				"repl-timeout 5",
			}, o.Settings...),
		}}, t.Errorf)
		require(t, err)
		atEnd(t, s.Process, s.remove)
		g.Nodes = append(g.Nodes, s)
	}
	require(t, g.form(o))
	return g
}

// form makes a cluster of the nodes.
func (g *RedisCluster) form(o ClusterOptions) error {
	for i, s := range g.Nodes {
		id, err := s.Command("CLUSTER", "MYID")
		if err != nil {
			return err
		}
		s.nodeID = fmt.Sprint(id)
		if i < o.Masters {
			first, last := i*Slots/o.Masters, (i+1)*Slots/o.Masters-1
			if _, err := s.Command("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last)); err != nil {
				return err
			}
		}
		if _, err := s.Command("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return err
		}
		first := g.Nodes[0]
		if i > 0 {
			if _, err := s.Command("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(first.port), strconv.Itoa(first.options.bus)); err != nil {
				return err
			}
		}
	}
	if err := within(startWithin, g.whole); err != nil {
		return err
	}
	for i, s := range g.Nodes[o.Masters:] {
		if _, err := s.Command("CLUSTER", "REPLICATE", g.Nodes[i%o.Masters].nodeID); err != nil {
			return err
		}
	}
	return within(startWithin, func() error { return errors.Join(g.whole(), g.replicas(o.Masters)) })
}

// whole fails until all running nodes know each other, serve all slots, and agree on who
// serves which and on the current epoch. If a slot moved before, its new master could take
// an epoch that is not the latest; another node might not believe it then, and throw the
// keys away.
func (g *RedisCluster) whole() error {
	agreed := ""
	for _, s := range g.Nodes {
		if !s.answers() {
			continue
		}
		text, err := s.Command("CLUSTER", "INFO")
		if err != nil {
			return err
		}
		info := fmt.Sprint(text)
		if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_slots_ok:"+strconv.Itoa(Slots)) ||
			!strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", len(g.Nodes))) {
			return fmt.Errorf("%s sees %q", s.title, info)
		}
		masters, err := s.masters()
		if err != nil {
			return err
		}
		_, epoch, _ := strings.Cut(info, "cluster_current_epoch:")
		epoch, _, _ = strings.Cut(epoch, "\r")
		slots := fmt.Sprint("epoch ", epoch, masters)
		if agreed != "" && agreed != slots {
			return fmt.Errorf("%s sees %q, another node %q", s.title, slots, agreed)
		}
		agreed = slots
	}
	return nil
}

// masters returns which node serves which slots, as a node of the cluster sees it.
func (s *Server) masters() ([]slotRange, error) {
	answer, err := s.Command("CLUSTER", "SLOTS")
	if err != nil {
		return nil, err
	}
	list, _ := answer.([]any)
	ranges := make([]slotRange, 0, len(list))
	for _, r := range list {
		if r, ok := r.([]any); ok && len(r) > 2 {
			if master, ok := r[2].([]any); ok && len(master) > 2 {
				ranges = append(ranges, slotRange{r[0].(int64), r[1].(int64), fmt.Sprint(master[2])})
			}
		}
	}
	slices.SortFunc(ranges, func(a, b slotRange) int { return cmp.Compare(a.first, b.first) })
	return ranges, nil
}

// slotRange are slots with the name of the node that serves them.
type slotRange struct {
	first, last int64
	id          string
}

// replicas fails until the nodes that are no masters are known as replicas by everybody,
// and have copies.
func (g *RedisCluster) replicas(masters int) error {
	for _, s := range g.Nodes {
		nodes, err := s.Command("CLUSTER", "NODES")
		if err != nil {
			return err
		}
		if n := strings.Count(fmt.Sprint(nodes), "slave"); n != len(g.Nodes)-masters {
			return fmt.Errorf("%s knows %d replicas", s.title, n)
		}
	}
	for _, s := range g.Nodes[masters:] {
		if s.Info("master_link_status") != "up" {
			return fmt.Errorf("%s has no copy of its master", s.title)
		}
	}
	return nil
}

// Addrs returns the addresses of the nodes.
func (g *RedisCluster) Addrs() []string { return addrs(g.Nodes) }

// Master returns the master of a slot: the node that says so of itself, or else the one
// that another node says it is; nil if no node answers.
func (g *RedisCluster) Master(slot int) *Server {
	var said *Server
	for _, s := range g.Nodes {
		if !s.answers() {
			continue
		}
		masters, err := s.masters()
		if err != nil {
			continue
		}
		for _, r := range masters {
			if r.first <= int64(slot) && int64(slot) <= r.last {
				said = g.byID(r.id)
			}
		}
		if said == s {
			return s
		}
	}
	return said
}

// AwaitMaster waits until another node than the one given is the master of a slot, and all
// running nodes serve all slots. It returns nil, and the test has failed, if that takes a
// minute.
func (g *RedisCluster) AwaitMaster(slot int, not *Server) *Server {
	var master *Server
	err := within(startWithin, func() error {
		master = g.Master(slot)
		if master == nil || master == not {
			return fmt.Errorf("no other node than %s has become the master of slot %d", not.title, slot)
		}
		return g.whole()
	})
	if err != nil {
		g.fail("%v", err)
		return nil
	}
	return master
}

// Await waits until all running nodes serve all slots.
func (g *RedisCluster) Await() {
	if err := within(startWithin, g.whole); err != nil {
		g.fail("%v", err)
	}
}

// Replica returns a running replica of a node, or nil if it has none.
func (g *RedisCluster) Replica(of *Server) *Server {
	for _, s := range g.Nodes {
		if !s.answers() || s == of {
			continue
		}
		nodes, err := s.Command("CLUSTER", "NODES")
		if err != nil {
			continue
		}
		for line := range strings.SplitSeq(fmt.Sprint(nodes), "\n") {
			if f := strings.Fields(line); len(f) > 3 && strings.Contains(f[2], "myself") && f[3] == of.nodeID {
				return s
			}
		}
	}
	return nil
}

// Failover makes a replica the master of its slots, as an administrator does, without
// losing anything, and waits until all nodes know.
func (g *RedisCluster) Failover(replica *Server) {
	err := within(startWithin, func() error {
		if _, err := replica.Command("CLUSTER", "FAILOVER"); err != nil {
			return err
		}
		return within(5*time.Second, func() error {
			if replica.Info("role") != "master" {
				return fmt.Errorf("%s is no master", replica.title)
			}
			return g.whole()
		})
	})
	if err != nil {
		g.fail("CLUSTER FAILOVER: %v", err)
	}
}

// Move moves a slot with its keys to another master, while clients use them, in the way of
// redis-cli: a client that asks for a key meanwhile is answered ASK if the key has moved.
func (g *RedisCluster) Move(slot int, to *Server) {
	if g.Master(slot) == to {
		return
	}
	if err := g.move(slot, to); err != nil {
		g.fail("slot %d cannot be moved: %v", slot, err)
	}
}

func (g *RedisCluster) move(slot int, to *Server) error {
	move, err := g.Begin(slot, to)
	if err != nil {
		return err
	}
	for {
		n, err := move.Keys(10)
		if err != nil {
			return err
		}
		if n == 0 {
			return move.Finish()
		}
	}
}

// SlotMove is a slot on its way from one master to another.
type SlotMove struct {
	Slot     int
	From, To *Server
	cluster  *RedisCluster
}

// Begin begins to move a slot, as [RedisCluster.Move] does, and stops before the first key.
func (g *RedisCluster) Begin(slot int, to *Server) (*SlotMove, error) {
	if err := within(startWithin, g.whole); err != nil {
		return nil, err
	}
	m := &SlotMove{Slot: slot, From: g.Master(slot), To: to, cluster: g}
	if m.From == nil {
		return nil, fmt.Errorf("no node serves slot %d", slot)
	}
	number := strconv.Itoa(slot)
	if _, err := to.Command("CLUSTER", "SETSLOT", number, "IMPORTING", m.From.nodeID); err != nil {
		return nil, err
	}
	_, err := m.From.Command("CLUSTER", "SETSLOT", number, "MIGRATING", m.To.nodeID)
	return m, err
}

// Keys moves up to n keys, and returns how many those were.
func (m *SlotMove) Keys(n int) (int, error) {
	answer, err := m.From.Command("CLUSTER", "GETKEYSINSLOT", strconv.Itoa(m.Slot), strconv.Itoa(n))
	if err != nil {
		return 0, err
	}
	keys, _ := answer.([]any)
	if len(keys) == 0 {
		return 0, nil
	}
	args := []string{"MIGRATE", "127.0.0.1", strconv.Itoa(m.To.port), "", "0", "10000"}
	if p := m.To.endpoint.password; p != "" {
		args = append(args, "AUTH", p)
	}
	args = append(args, "KEYS")
	for _, key := range keys {
		args = append(args, fmt.Sprint(key))
	}
	_, err = m.From.Command(args...)
	return len(keys), err
}

// Finish tells all masters that the slot has moved, and waits until all nodes know. It must
// have no keys left.
func (m *SlotMove) Finish() error {
	return within(startWithin, func() error {
		// The node that gets the slot must know it first. Replicas hear it from their masters.
		for _, s := range append([]*Server{m.To, m.From}, m.cluster.Nodes...) {
			if !s.answers() || s.Info("role") != "master" {
				continue
			}
			if _, err := s.Command("CLUSTER", "SETSLOT", strconv.Itoa(m.Slot), "NODE", m.To.nodeID); err != nil {
				return fmt.Errorf("%s: %w", s.title, err)
			}
		}
		// What nodes told each other before may have undone it.
		return m.cluster.whole()
	})
}

func (g *RedisCluster) byID(id string) *Server {
	for _, s := range g.Nodes {
		if s.nodeID == id {
			return s
		}
	}
	return nil
}

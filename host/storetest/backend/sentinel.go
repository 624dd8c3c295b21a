package backend

import (
	"fmt"
	"testing"
	"time"
)

// SentinelOptions says what a master with replicas and sentinels is like. The zero value
// has one replica and three sentinels.
type SentinelOptions struct {
	Program  string // as in [RedisOptions]
	Name     string // of the master; "": "main"
	Replicas int    // 0: 1
	// Sentinels is how many there are; 0: 3. More than half of them must agree that the
	// master is down.
	Sentinels int
	DownAfter time.Duration // how long a master is silent before it is down; 0: 1 s

	Password         string   // of the servers' user "default"
	Users            []string // of the servers, as in [RedisOptions]
	SentinelPassword string   // of the sentinels' user "default"
	SentinelUsers    []string
	TLS              *Certificates
	Persist          bool
	Settings         []string // of the servers
}

// RedisSentinel is a master with replicas, and the sentinels that watch them.
type RedisSentinel struct {
	Name      string
	Servers   []*Server // the first is the master in the beginning
	Sentinels []*Server
	fail      func(format string, args ...any)
}

// Sentinel starts servers and sentinels, which end with the test. All sentinels know each
// other and the replicas when it returns.
func Sentinel(t testing.TB, o SentinelOptions) *RedisSentinel {
	t.Helper()
	o.Name = orElse(o.Name, "main")
	o.Replicas, o.Sentinels = orElse(o.Replicas, 1), orElse(o.Sentinels, 3)
	o.DownAfter = orElse(o.DownAfter, time.Second)
	g := &RedisSentinel{Name: o.Name, fail: t.Errorf}
	server := RedisOptions{
		Program: o.Program, Password: o.Password, Users: o.Users, TLS: o.TLS, Persist: o.Persist,
		Settings: append([]string{"repl-timeout 5"}, o.Settings...),
	}
	g.Servers = append(g.Servers, Redis(t, server))
	for range o.Replicas {
		server.ReplicaOf = g.Servers[0]
		g.Servers = append(g.Servers, Redis(t, server))
	}
	for range o.Sentinels {
		g.Sentinels = append(g.Sentinels, g.sentinel(t, o))
	}
	require(t, within(startWithin, g.settled(o)))
	return g
}

func (g *RedisSentinel) sentinel(t testing.TB, o SentinelOptions) *Server {
	name := o.Name
	settings := []string{
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d %d", name, g.Servers[0].port, o.Sentinels/2+1),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", name, o.DownAfter.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s 3000", name),
		fmt.Sprintf("sentinel parallel-syncs %s 10", name),
	}
	if o.Password != "" {
		settings = append(settings, fmt.Sprintf("sentinel auth-pass %s %q", name, o.Password))
	}
	if o.SentinelPassword != "" {
		settings = append(settings, fmt.Sprintf("sentinel sentinel-pass %q", o.SentinelPassword))
	}
	s, err := startRedis(instance{sentinel: true, RedisOptions: RedisOptions{
		Program: o.Program, Password: o.SentinelPassword, Users: o.SentinelUsers, TLS: o.TLS, Settings: settings,
	}}, t.Errorf)
	require(t, err)
	atEnd(t, s.Process, s.remove)
	return s
}

// settled fails until each sentinel knows all others and all replicas.
func (g *RedisSentinel) settled(o SentinelOptions) func() error {
	return func() error {
		for _, s := range g.Sentinels {
			answer, err := s.Command("SENTINEL", "MASTER", g.Name)
			if err != nil {
				return err
			}
			master := fields(answer)
			if master["num-other-sentinels"] != fmt.Sprint(o.Sentinels-1) || master["num-slaves"] != fmt.Sprint(o.Replicas) ||
				master["flags"] != "master" {
				return fmt.Errorf("%s sees %v", s.title, master)
			}
		}
		return nil
	}
}

// Addrs returns the addresses of the sentinels.
func (g *RedisSentinel) Addrs() []string { return addrs(g.Sentinels) }

// Master returns the server that is the master according to the first sentinel that
// answers, or nil if none does.
func (g *RedisSentinel) Master() *Server {
	for _, s := range g.Sentinels {
		if !s.answers() {
			continue
		}
		answer, err := s.Command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", g.Name)
		if pair, ok := answer.([]any); err == nil && ok && len(pair) == 2 {
			return byPort(g.Servers, fmt.Sprint(pair[1]))
		}
	}
	return nil
}

// AwaitMaster waits until another server than the one given is the master, says so itself,
// and takes writes. It returns nil, and the test has failed, if that takes a minute.
func (g *RedisSentinel) AwaitMaster(not *Server) *Server {
	var master *Server
	err := within(startWithin, func() error {
		master = g.Master()
		if master == nil || master == not || !master.answers() || master.Info("role") != "master" {
			return fmt.Errorf("no other server than %s has become the master", not.title)
		}
		return nil
	})
	if err != nil {
		g.fail("%v", err)
		return nil
	}
	return master
}

// Failover asks a sentinel to make a replica the master, as an administrator does, and
// waits until it is.
func (g *RedisSentinel) Failover() *Server {
	before := g.Master()
	// A sentinel refuses while it has no good replica, which may be for a moment.
	err := within(startWithin, func() error {
		_, err := g.Sentinels[0].Command("SENTINEL", "FAILOVER", g.Name)
		return err
	})
	if err != nil {
		g.fail("SENTINEL FAILOVER: %v", err)
		return nil
	}
	return g.AwaitMaster(before)
}

// Rejoin starts a server that has been the master again, as a replica of the one that is
// now, as operators' tools do. Started by [Process.Restart], it would take itself for a
// master, with what its files have, until the sentinels notice some ten seconds later.
func (g *RedisSentinel) Rejoin(s *Server) {
	s.Stop()
	s.options.ReplicaOf = g.Master()
	if err := s.configure(); err != nil {
		g.fail("%v", err)
	}
	s.Restart()
	g.AwaitReplicas()
}

// AwaitReplicas waits until all running servers but the master are replicas of it that are
// up to date.
func (g *RedisSentinel) AwaitReplicas() {
	err := within(startWithin, func() error {
		master := g.Master()
		for _, s := range g.Servers {
			if s == master || !s.answers() {
				continue
			}
			if s.Info("role") != "slave" || s.Info("master_port") != fmt.Sprint(master.port) || s.Info("master_link_status") != "up" {
				return fmt.Errorf("%s is no replica of %s", s.title, master.title)
			}
		}
		return nil
	})
	if err != nil {
		g.fail("%v", err)
	}
}

// fields reads an answer of names and values in turn.
func fields(answer any) map[string]string {
	list, _ := answer.([]any)
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		m[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
	}
	return m
}

func addrs(servers []*Server) []string {
	list := make([]string, len(servers))
	for i, s := range servers {
		list[i] = s.Addr()
	}
	return list
}

func byPort(servers []*Server, port string) *Server {
	for _, s := range servers {
		if fmt.Sprint(s.port) == port {
			return s
		}
	}
	return nil
}

// within asks again and again until there is no error, for so long.
func within(d time.Duration, ask func() error) error {
	deadline := time.Now().Add(d)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %w", d, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

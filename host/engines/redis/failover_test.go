package redis_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/redis/topology"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// everywhere grants the ports of all servers that tests start.
const everywhere = "&nodes=127.0.0.1:12000-32000"

// hosts opens the engine twice, as two processes would.
func hosts(t *testing.T, url string) []store.Store {
	var list []store.Store
	for range 2 {
		p, err := redis.Open(ctx, url, plugin.Config{Logger: silent})
		require.NoError(t, err)
		t.Cleanup(func() { _ = p.Close(context.Background()) })
		list = append(list, p)
	}
	return list
}

// TestServerIsKilledUnderLoad kills a server that writes each change to its disk before it
// answers: nothing that was acknowledged is lost.
func TestServerIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	s := backend.Redis(t, backend.RedisOptions{Persist: true})
	l := &load{t: t, hosts: hosts(t, "redis://"+s.Addr()+"?timeout_ms=1000")}
	l.begin()
	for range rounds(t, 3) {
		s.Kill()
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		s.Restart()
		l.works()
	}
	l.end()
	require.Less(t, time.Duration(l.slowest.Load()), 20*time.Second)
}

// TestServerHangsUnderLoad stops a server in the middle of what it does, for longer than
// anybody waits. What it does when it goes on, it does late.
func TestServerHangsUnderLoad(t *testing.T) {
	t.Parallel()
	s := backend.Redis(t, backend.RedisOptions{})
	l := &load{t: t, hosts: hosts(t, "redis://"+s.Addr()+"?timeout_ms=300")}
	l.begin()
	for range rounds(t, 2) {
		s.Pause()
		time.Sleep(time.Second)
		s.Resume()
		l.works()
	}
	l.end()
	require.NotZero(t, l.failed.Load())
	require.Less(t, time.Duration(l.slowest.Load()), 20*time.Second)
}

// TestClusterChangesUnderLoad moves slots and makes replicas the masters, as an
// administrator does: nothing is lost.
func TestClusterChangesUnderLoad(t *testing.T) {
	t.Parallel()
	g := backend.Cluster(t, backend.ClusterOptions{Replicas: 1})
	l := &load{t: t, hosts: hosts(t, "redis+cluster://"+strings.Join(g.Addrs()[:2], ",")+"?timeout_ms=3000"+everywhere)}
	l.begin()
	for round := range rounds(t, 1) {
		for i := range l.counters {
			slot := topology.Slot(append([]byte("waddle:"), counterKey(i)...))
			g.Move(slot, g.Master((slot+(round%2+1)*topology.Slots/3)%topology.Slots))
		}
		for _, w := range l.workers[:4] {
			slot := topology.Slot(append([]byte("waddle:"), w.first...))
			g.Move(slot, g.Master((slot+topology.Slots/3)%topology.Slots))
		}
		l.works()
		replica := g.Replica(g.Master(round * 5000 % topology.Slots))
		g.Failover(replica)
		l.works()
	}
	l.end()
}

// TestClusterMasterIsKilledUnderLoad kills masters. Their replicas follow; what had not
// reached them is lost.
func TestClusterMasterIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	g := backend.Cluster(t, backend.ClusterOptions{Replicas: 1})
	l := &load{t: t, lossy: true, hosts: hosts(t, "redis+cluster://"+g.Addrs()[0]+"?timeout_ms=1000"+everywhere)}
	l.begin()
	for range rounds(t, 1) {
		slot := rand.IntN(topology.Slots)
		master := g.Master(slot)
		master.Kill()
		g.AwaitMaster(slot, master)
		l.works()
		master.Restart()
		g.Await()
		l.works()
	}
	l.end()
	require.NotZero(t, l.failed.Load())
}

// TestSentinelMasterIsKilledUnderLoad is the same with sentinels, and a replica that is
// behind when the master is killed. With wait_replicas a write is acknowledged when the
// replica has it: then nothing is lost.
func TestSentinelMasterIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{"alone": "", "with wait_replicas": "&wait_replicas=1&wait_ms=1000"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := backend.Sentinel(t, backend.SentinelOptions{})
			url := "redis+sentinel://" + strings.Join(g.Addrs(), ",") + "/" + g.Name + "?timeout_ms=1000" + everywhere + options
			l := &load{t: t, lossy: options == "", shaky: options != "", hosts: hosts(t, url)}
			l.begin()
			for range rounds(t, 1) {
				master := g.Master()
				for _, s := range g.Servers {
					if s != master {
						s.Do("REPLICAOF", "127.0.0.1", "1") // where nobody is
						time.Sleep(200 * time.Millisecond)
						master.Kill()
					}
				}
				g.AwaitMaster(master)
				g.Rejoin(master)
				l.works()
			}
			l.end()
			require.NotZero(t, l.failed.Load())
			if l.lossy {
				require.NotZero(t, l.lost.Load()+l.undone.Load(), "nobody has looked")
			}
		})
	}
}

// TestConnectionsAreCutUnderLoad cuts connections in the middle of commands and answers.
func TestConnectionsAreCutUnderLoad(t *testing.T) {
	t.Parallel()
	s := backend.SharedRedis(t, backend.RedisOptions{})
	p := backend.NewProxy(t, s.Addr())
	l := &load{t: t, hosts: hosts(t, "redis://"+p.Addr()+"?timeout_ms=1000&prefix="+newPrefix())}
	l.begin()
	for range 20 * rounds(t, 5) {
		p.CutAfter(rand.Int64N(3000), backend.Direction(rand.IntN(2)))
		time.Sleep(5 * time.Millisecond)
	}
	p.CutAll()
	l.end()
	require.NotZero(t, p.Cuts())
}

// TestPasswordIsChangedUnderLoad changes the password and ends all connections. The error
// says what happened, and nothing is done until the password is right again.
func TestPasswordIsChangedUnderLoad(t *testing.T) {
	t.Parallel()
	s := backend.Redis(t, backend.RedisOptions{Password: "right"})
	l := &load{t: t, hosts: hosts(t, "redis://:right@"+s.Addr()+"?timeout_ms=1000"), refusals: []error{store.ErrDenied}}
	l.begin()
	s.SetPassword("changed")
	s.CutClients()
	require.Eventually(t, func() bool {
		_, err := l.hosts[0].Get(ctx, []byte("a"), 1)
		return errors.Is(err, store.ErrDenied) && !strings.Contains(err.Error(), "right")
	}, time.Minute, time.Millisecond)
	s.SetPassword("right")
	l.end()
}

// TestServerIsFullUnderLoad fills a server. What is refused has changed nothing, what is
// there can be read and removed, and as soon as there is room everything goes on.
func TestServerIsFullUnderLoad(t *testing.T) {
	t.Parallel()
	s := backend.Redis(t, backend.RedisOptions{MaxMemory: 8 << 20})
	l := &load{t: t, hosts: hosts(t, "redis://"+s.Addr()+"?timeout_ms=1000"), refusals: []error{store.ErrNoSpace}}
	l.begin()
	s.Do("CONFIG", "SET", "maxmemory", "1")
	key := []byte("a key")
	require.Eventually(t, func() bool {
		err := l.hosts[0].Set(ctx, store.Write{Key: key, Value: make([]byte, 8), Now: 1})
		return errors.Is(err, store.ErrNoSpace)
	}, time.Minute, time.Millisecond)
	_, err := l.hosts[0].Get(ctx, key, 1)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, l.hosts[0].Delete(ctx, key, 1))
	s.Do("CONFIG", "SET", "maxmemory", "0")
	l.end()
	require.NotZero(t, l.failed.Load())
}

package backend

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

var shared struct {
	sync.Mutex
	main    bool // Main runs
	servers map[string]*sharedServer
}

type sharedServer struct {
	once   sync.Once
	server *Server
	err    error
}

// Main runs the tests of a package, then ends the servers that they had in common. It is
// for TestMain, and returns what is to be given to os.Exit.
func Main(m *testing.M) int {
	shared.Lock()
	shared.main = true
	shared.Unlock()
	defer endShared()
	return m.Run()
}

func endShared() {
	endSharedPostgres()
	shared.Lock()
	defer shared.Unlock()
	for _, s := range shared.servers {
		if s.server != nil {
			s.server.Kill()
			s.server.remove()
		}
	}
	shared.servers = nil
}

// SharedRedis returns a server with these options that the tests of a package have in
// common. It is started by the first of them. Tests that change its settings, or end it,
// need one of their own: see [Redis]. The package's TestMain must call [Main].
func SharedRedis(t testing.TB, o RedisOptions) *Server {
	t.Helper()
	shared.Lock()
	if !shared.main {
		shared.Unlock()
		t.Fatal("SharedRedis needs a TestMain that calls backend.Main: nobody would end the server")
	}
	key := fmt.Sprintf("%+v", o)
	s := shared.servers[key]
	if s == nil {
		if shared.servers == nil {
			shared.servers = map[string]*sharedServer{}
		}
		s = new(sharedServer)
		shared.servers[key] = s
	}
	shared.Unlock()
	s.once.Do(func() { s.server, s.err = startRedis(instance{RedisOptions: o}, failShared) })
	require(t, s.err)
	from := s.server.log.position()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s has logged since this test began:\n%s", s.server.title, s.server.log.since(from))
		}
	})
	return s.server
}

// failShared reports what goes wrong with a server that belongs to no test.
func failShared(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	panic("a server that tests have in common has failed")
}

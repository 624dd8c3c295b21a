package backend_test

import (
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestMain(m *testing.M) {
	if how := os.Getenv(abandonVar); how != "" {
		abandon(how)
	}
	os.Exit(backend.Main(m))
}

// each runs a test with every program that can be started.
func each(t *testing.T, test func(t *testing.T, program string)) {
	for _, program := range backend.RedisPrograms {
		t.Run(program, func(t *testing.T) { test(t, program) })
	}
}

func TestRedis(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		s := backend.Redis(t, backend.RedisOptions{Program: program, Unix: true})
		require.Equal(t, "OK", s.Do("SET", "a", "1"))
		require.Equal(t, "1", s.Do("GET", "a"))
		require.Nil(t, s.Do("GET", "b"))
		require.Equal(t, int64(1), s.Do("EXISTS", "a"))
		require.Equal(t, []any{"1", nil}, s.Do("MGET", "a", "b"))
		_, err := s.Command("LPUSH", "a", "x")
		require.ErrorAs(t, err, new(backend.RedisError))
		require.Equal(t, "master", s.Info("role"))

		conn, err := net.Dial("unix", s.Socket())
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
}

func TestPersistenceDecidesWhatAKillLeaves(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		for _, persist := range []bool{false, true} {
			s := backend.Redis(t, backend.RedisOptions{Program: program, Persist: persist})
			s.Do("SET", "a", "1")
			addr := s.Addr()
			s.Kill()
			require.Zero(t, s.PID())
			_, err := s.Command("GET", "a")
			require.Error(t, err)
			s.Restart()
			require.Equal(t, addr, s.Addr())
			if persist {
				require.Equal(t, "1", s.Do("GET", "a"))
			} else {
				require.Nil(t, s.Do("GET", "a"))
			}
		}
	})
}

func TestPause(t *testing.T) {
	s := backend.Redis(t, backend.RedisOptions{})
	s.Pause()
	answered := make(chan any, 1)
	go func() { answered <- s.Do("ECHO", "there") }()
	select {
	case <-answered:
		t.Fatal("a paused server answers")
	case <-time.After(50 * time.Millisecond):
	}
	s.Resume()
	require.Equal(t, "there", <-answered)
	s.Pause()
	s.Stop()
	s.Restart()
	s.Pause()
}

func TestPasswordsAndUsers(t *testing.T) {
	s := backend.Redis(t, backend.RedisOptions{Password: "secret", Users: []string{"reader on >other ~* +get"}})
	require.Equal(t, "PONG", s.Do("PING"))
	_, err := s.CommandAs("", "", "PING")
	require.ErrorContains(t, err, "NOAUTH")
	_, err = s.CommandAs("reader", "other", "GET", "a")
	require.NoError(t, err)
	_, err = s.CommandAs("reader", "other", "SET", "a", "b")
	require.ErrorContains(t, err, "NOPERM")
	s.SetPassword("changed")
	require.Equal(t, "PONG", s.Do("PING"))
	_, err = s.CommandAs("", "secret", "PING")
	require.ErrorContains(t, err, "WRONGPASS")
}

func TestTLS(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		certs := backend.NewCertificates(t, "redis.example.com")
		for _, client := range []bool{false, true} {
			s := backend.Redis(t, backend.RedisOptions{Program: program, TLS: certs, ClientCert: client})
			require.Equal(t, "PONG", s.Do("PING"))
			replica := backend.Redis(t, backend.RedisOptions{Program: program, TLS: certs, ClientCert: client, ReplicaOf: s})
			require.Equal(t, "slave", replica.Info("role"))
		}
	})
}

func TestReplica(t *testing.T) {
	each(t, func(t *testing.T, program string) {
		master := backend.Redis(t, backend.RedisOptions{Program: program, Password: "secret"})
		master.Do("SET", "a", "1")
		replica := backend.Redis(t, backend.RedisOptions{Program: program, Password: "secret", ReplicaOf: master})
		require.Equal(t, "1", replica.Do("GET", "a"))
		_, err := replica.Command("SET", "a", "2")
		require.ErrorContains(t, err, "READONLY")
	})
}

func TestMaxMemory(t *testing.T) {
	s := backend.Redis(t, backend.RedisOptions{MaxMemory: 3 << 20})
	for i := range 1000 {
		_, err := s.Command("SET", strconv.Itoa(i), string(make([]byte, 64<<10)))
		if err != nil {
			require.ErrorContains(t, err, "OOM")
			return
		}
	}
	t.Fatal("the server is never full")
}

func TestSharedRedis(t *testing.T) {
	first := backend.SharedRedis(t, backend.RedisOptions{})
	require.Same(t, first, backend.SharedRedis(t, backend.RedisOptions{}))
	require.NotSame(t, first, backend.SharedRedis(t, backend.RedisOptions{Unix: true}))
}

package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/engines/redis"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// fake is a server that answers as it is told; "" answers nothing.
func fake(t *testing.T, answer func(args []string) string) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					var n int
					if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
						return
					}
					args := make([]string, n)
					for i := range args {
						var length int
						if _, err := fmt.Fscanf(r, "$%d\r\n", &length); err != nil {
							return
						}
						body := make([]byte, length+2)
						if _, err := io.ReadFull(r, body); err != nil {
							return
						}
						args[i] = string(body[:length])
					}
					if _, err := io.WriteString(conn, answer(args)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func slotsReply(address string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$%d\r\n%s\r\n:%s\r\n", len(host), host, port)
}

func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }

// TestRedirectsToForbiddenAddresses has a cluster that sends the guest to addresses it was
// not granted, and to one that nobody may be granted. The host does not connect; the error
// says which address it was.
func TestRedirectsToForbiddenAddresses(t *testing.T) {
	t.Parallel()
	const metadata = "169.254.169.254:80"
	var reached atomic.Int64
	elsewhere := fake(t, func([]string) string {
		reached.Add(1)
		return "+OK\r\n"
	})
	for _, to := range []string{metadata, elsewhere, "localhost:22"} {
		for _, way := range []string{"MOVED", "ASK", "CLUSTER"} {
			t.Run(way+" "+to, func(t *testing.T) {
				var honest atomic.Bool
				honest.Store(true)
				var self string
				self = fake(t, func(args []string) string {
					switch {
					case args[0] == "INFO":
						return bulk("redis_version:7.0.15\r\nredis_mode:cluster\r\ncluster_enabled:1\r\n")
					case args[0] == "CLUSTER" && (honest.Load() || way != "CLUSTER"):
						return slotsReply(self)
					case args[0] == "CLUSTER":
						return slotsReply(to)
					case honest.Load():
						return "$0\r\n\r\n" // nothing is there
					case way == "CLUSTER":
						return "-CLUSTERDOWN somewhere else\r\n"
					}
					return "-" + way + " 1 " + to + "\r\n"
				})
				p, err := redis.Open(ctx, "redis+cluster://"+self+"?timeout_ms=2000", plugin.Config{Logger: silent})
				require.NoError(t, err)
				defer p.Close(ctx)
				honest.Store(false)
				_, err = p.Get(ctx, []byte("a"), 1)
				require.ErrorIs(t, err, store.ErrDenied)
				require.ErrorContains(t, err, to)
				require.ErrorContains(t, err, "granted")
				honest.Store(true)
				require.Eventually(t, func() bool {
					_, err := p.Get(ctx, []byte("a"), 1)
					return errors.Is(err, store.ErrNotFound)
				}, time.Minute, time.Millisecond)
			})
		}
	}
	require.Zero(t, reached.Load())
}

// TestServerThatNeverAnswers takes connections and says nothing, or a little. Opening fails
// in time; so does a call, and Close does not wait for it.
func TestServerThatNeverAnswers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "$5\r\nhe", "*1000\r\n"} {
		silentServer := fake(t, func([]string) string { return text })
		for _, url := range []string{"redis://" + silentServer, "redis+cluster://" + silentServer, "redis+sentinel://" + silentServer + "/main"} {
			began := time.Now()
			_, err := redis.Open(ctx, url+"?timeout_ms=200", plugin.Config{Logger: silent})
			require.ErrorIs(t, err, store.ErrUnavailable)
			require.Less(t, time.Since(began), 10*time.Second)
		}
	}

	s := backend.Redis(t, backend.RedisOptions{})
	p, err := redis.Open(ctx, "redis://"+s.Addr()+"?timeout_ms=60000", plugin.Config{Logger: silent, Network: plugin.Network{Wait: time.Minute}})
	require.NoError(t, err)
	s.Pause()
	// A caller's deadline is one for the network, too.
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = p.Get(short, []byte("a"), 1)
	require.Error(t, err)
	require.Less(t, time.Since(began), 10*time.Second)

	failed := make(chan error)
	for i := range 10 {
		go func() {
			_, err := p.Get(ctx, []byte("a"+strconv.Itoa(i)), 1)
			failed <- err
		}()
	}
	time.Sleep(50 * time.Millisecond)
	began = time.Now()
	require.NoError(t, p.Close(ctx))
	for range 10 {
		require.Error(t, <-failed)
	}
	require.Less(t, time.Since(began), 20*time.Second)
}

package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestCutAtEveryByte cuts the connection after each byte of an operation, on the way there
// and on the way back. A read and a conditional write are then done once, and know it. Any
// other write is done, or may have been.
func TestCutAtEveryByte(t *testing.T) {
	server := backend.SharedPostgres(t)
	proxy := backend.NewProxy(t, server.Addr())
	settings := with(server, "connections", "1")
	direct, _ := start(t, settings...)
	through, _ := start(t, pairs(append(settings, "addresses", proxy.Addr())...)...)
	key := []byte("key")
	operations := []struct {
		name   string
		before []byte // what is stored, nil for nothing
		do     func() error
		after  []byte
		sure   bool // it must succeed
		step   int64
	}{
		{"create", nil, func() error { return through.Set(set("key", "new", 1, -1)) }, value(1, "new"), true, 1},
		{"replace", value(4, "old"), func() error { return through.Set(set("key", "new", 5, 4)) }, value(5, "new"), true, 1},
		{"get", value(4, "old"), func() error { _, err := through.Get(key, now); return err }, value(4, "old"), true, 5},
		{"put", value(4, "old"), func() error { return through.Set(set("key", "new", 5, 0)) }, value(5, "new"), false, 5},
		{"delete", value(4, "old"), func() error { return through.Delete(key, now) }, nil, true, 5},
		{"touch", value(4, "old"), func() error { return through.Touch(key, now+hour, now) }, value(4, "old"), true, 5},
		{"touch away", value(4, "old"), func() error { return through.Touch(key, now-1, now) }, nil, false, 5},
		{"remove if", value(4, "old"), func() error {
			return through.Set(guest.Write{Key: key, Value: value(5, ""), Expires: now - 1, Now: now, Expect: 4})
		}, nil, false, 5},
	}
	for _, o := range operations {
		t.Run(o.name, func(t *testing.T) {
			for _, direction := range []backend.Direction{backend.ToServer, backend.ToClient} {
				for n, cuts := int64(0), proxy.Cuts(); ; n += o.step {
					require.NoError(t, direct.Clear(now))
					if o.before != nil {
						require.NoError(t, direct.Set(guest.Write{Key: key, Value: o.before, Now: now}))
					}
					proxy.CutAfter(n, direction)
					err := o.do()
					if o.sure || !errors.Is(err, guest.ErrUnavailable) {
						require.NoError(t, err, "cut after %d bytes", n)
					}
					got, getErr := direct.Get(key, now)
					switch {
					case err != nil && string(got) == string(o.before): // it was not done
					case o.after == nil:
						require.ErrorIs(t, getErr, guest.ErrNotFound, "cut after %d bytes", n)
					default:
						require.NoError(t, getErr)
						require.Equal(t, o.after, got, "cut after %d bytes", n)
					}
					if proxy.Cuts() == cuts {
						proxy.CutAll() // which forgets the cut that has not come
						break
					}
					cuts = proxy.Cuts()
				}
			}
		})
	}
}

// A connection that was closed while nobody used it is no error for anybody.
func TestClosedWhileIdle(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{})
	h, e := start(t, with(server)...)
	require.NoError(t, h.Set(set("k", "one", 1, 0)))
	for name, end := range map[string]func(){
		"restarted": server.Restart,
		"killed":    func() { server.Kill(); server.Restart() },
		"cut":       server.CutClients,
	} {
		end()
		require.NoError(t, h.Set(set("k", "one", 1, 0)), name)
		end()
		_, err := h.Get([]byte("k"), now)
		require.NoError(t, err, name)
	}
	server.CutClients()
	require.Equal(t, 1, e.Connections())
	require.Eventually(t, func() bool {
		_, err := h.Idle(now)
		require.NoError(t, err)
		return e.Connections() == 0
	}, 20*time.Second, 10*time.Millisecond)
}

func TestServerThatIsAway(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{})
	h, _ := start(t, with(server, "timeout_ms", "400")...)
	require.NoError(t, h.Set(set("k", "one", 1, 0)))
	server.Kill()
	for range 3 {
		began := time.Now()
		_, err := h.Get([]byte("k"), now)
		require.ErrorIs(t, err, guest.ErrUnavailable)
		require.ErrorIs(t, h.Set(set("k", "two", 2, 1)), guest.ErrUnavailable)
		require.ErrorIs(t, h.Clear(now), guest.ErrUnavailable)
		_, _, err = h.Keys(0, now)
		require.ErrorIs(t, err, guest.ErrUnavailable)
		require.Less(t, time.Since(began), 20*time.Second)
	}
	_, _, err := tryStart(t, with(server)...)
	require.ErrorIs(t, err, guest.ErrUnavailable)
	server.Restart()
	got, err := h.Get([]byte("k"), now)
	require.NoError(t, err)
	require.Equal(t, value(1, "one"), got)

	// It is there and does not answer.
	server.Pause()
	for range 2 {
		began := time.Now()
		_, err := h.Get([]byte("k"), now)
		require.ErrorIs(t, err, guest.ErrUnavailable)
		require.ErrorContains(t, err, "no answer within timeout_ms")
		require.Less(t, time.Since(began), 10*time.Second)
	}
	server.Resume()
	_, err = h.Get([]byte("k"), now)
	require.NoError(t, err)
}

// Of several servers, that is used which takes writes, also after the roles have changed.
func TestStandby(t *testing.T) {
	primary := backend.Postgres(t, backend.PostgresOptions{})
	settings := with(primary, "timeout_ms", "5000")
	h, _ := start(t, settings...)
	require.NoError(t, h.Set(set("k", "one", 1, 0)))
	standby := backend.Postgres(t, backend.PostgresOptions{ReplicaOf: primary})

	_, _, err := tryStart(t, pairs(append(settings, "addresses", standby.Addr())...)...)
	require.ErrorIs(t, err, guest.ErrUnavailable)
	require.ErrorContains(t, err, "standby")

	h, _ = start(t, pairs(append(settings, "addresses", standby.Addr()+","+primary.Addr())...)...)
	works(t, h)
	require.Eventually(t, func() bool { return standby.Query("SELECT count(*) FROM "+settings[5]) == "1" }, 20*time.Second, 20*time.Millisecond)
	primary.Kill()
	require.ErrorIs(t, h.Delete([]byte("other"), now), guest.ErrUnavailable)
	standby.Promote()
	require.Eventually(t, func() bool { return h.Set(set("k", "three", 3, 2)) == nil }, 20*time.Second, 50*time.Millisecond)

	// A server that takes no writes any more.
	standby.Query("ALTER SYSTEM SET default_transaction_read_only = on")
	standby.Query("SELECT pg_reload_conf()")
	require.Eventually(t, func() bool {
		err = h.Set(set("k", "four", 4, 3))
		return err != nil
	}, 20*time.Second, 20*time.Millisecond)
	require.ErrorIs(t, err, guest.ErrUnavailable)
	require.ErrorContains(t, err, "addresses must name a server that takes writes")
}

func TestRightsThatAreLost(t *testing.T) {
	server := backend.Postgres(t, backend.PostgresOptions{Auth: "scram-sha-256"})
	h, _ := start(t, with(server, "password", backend.PostgresPassword)...)
	works(t, h)
	server.Query("ALTER ROLE waddle PASSWORD 'another'")
	server.CutClients()
	require.ErrorIs(t, h.Delete([]byte("k"), now), guest.ErrDenied)
	server.Query("ALTER ROLE waddle NOLOGIN")
	require.ErrorIs(t, h.Delete([]byte("k"), now), guest.ErrDenied)
	server.Query("ALTER ROLE waddle LOGIN PASSWORD '" + backend.PostgresPassword + "'")
	require.NoError(t, h.Delete([]byte("k"), now))
}

// A disk that is full is NO_SPACE, and what is stored can be read and removed.
func TestDiskFull(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("SKIPPED: mounting a small disk needs Linux and root")
	}
	server := backend.Postgres(t, backend.PostgresOptions{})
	dir := filepath.Join(filepath.Dir(server.Socket()), "small")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"))
	defer func() {
		server.Kill()
		require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH))
	}()
	info, err := os.Stat(filepath.Dir(server.Socket()))
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	require.NoError(t, os.Chown(dir, int(owner.Uid), int(owner.Gid)))
	server.Query("CREATE TABLESPACE small LOCATION '" + dir + "'")
	server.Query("GRANT CREATE ON TABLESPACE small TO waddle; ALTER ROLE waddle SET default_tablespace = 'small'")
	h, _ := start(t, with(server)...)
	text := string(make([]byte, 4000))
	stored := 0
	for ; ; stored++ {
		require.Less(t, stored, 10_000)
		// The server would compress what is all zeros.
		w := set("key "+strconv.Itoa(stored), text, uint64(stored+1), -1)
		for i := range w.Value[8:] {
			w.Value[8+i] = byte(guest.RandomUint64())
		}
		if err = h.Set(w); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, guest.ErrNoSpace)
	require.ErrorContains(t, err, "the disk of the server is full")
	require.Greater(t, stored, 100)
	_, err = h.Get([]byte("key 0"), now)
	require.NoError(t, err)
	require.NoError(t, h.Delete([]byte("key 0"), now))
	require.NoError(t, h.Clear(now))
	works(t, h)
}

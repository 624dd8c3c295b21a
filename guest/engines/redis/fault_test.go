package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// cutting is an operation over a connection that is cut, and what must hold then.
type cutting struct {
	name   string
	do     func(h *guest.Harness) error
	before string // what the key has before, "" for nothing
	after  string // and when it was done
	safe   bool   // it is sent again, so the caller notices nothing
}

var cuttings = []cutting{
	{"get", func(h *guest.Harness) error {
		got, err := h.Get([]byte("key"), now)
		if err == nil && string(got[8:]) != "before" {
			return fmt.Errorf("got %q", got)
		}
		return err
	}, "before", "before", true},
	{"set", func(h *guest.Harness) error { return h.Set(set("key", "after", 2, abi.ExpectAny)) }, "before", "after", false},
	{"compare and set", func(h *guest.Harness) error { return h.Set(set("key", "after", 2, 1)) }, "before", "after", true},
	{"create", func(h *guest.Harness) error { return h.Set(set("key", "after", 2, abi.ExpectAbsent)) }, "", "after", true},
	{"conflict", func(h *guest.Harness) error {
		err := h.Set(set("key", "after", 2, 7))
		if err == guest.ErrConflict || errors.Is(err, guest.ErrUnavailable) {
			return nil // in doubt is right, too, though nobody else has written
		}
		return fmt.Errorf("it is no conflict: %v", err)
	}, "before", "before", true},
	{"conditional removal", func(h *guest.Harness) error {
		w := set("key", "", 2, 1)
		w.Expires = now
		return h.Set(w)
	}, "before", "", true},
	{"delete", func(h *guest.Harness) error { return h.Delete([]byte("key"), now) }, "before", "", true},
	{"touch", func(h *guest.Harness) error { return h.Touch([]byte("key"), now+2*hour, now) }, "before", "before", true},
	{"removal by touch", func(h *guest.Harness) error { return h.Touch([]byte("key"), now, now) }, "before", "", true},
}

// TestCutAtEveryByte: wherever the connection is cut, on the way to the server or
// back, an operation is done or it is not; what says that it was done was; and what can
// be sent again is, without meeting itself.
func TestCutAtEveryByte(t *testing.T) {
	eachServer(t, func(t *testing.T, server *backend.Server) {
		proxy := backend.NewProxy(t, server.Addr())
		direct, e := start(t, server.Addr())
		h, _, err := tryStart(t, "addresses", proxy.Addr(), "prefix", string(e.prefix))
		require.NoError(t, err)
		for _, c := range cuttings {
			t.Run(c.name, func(t *testing.T) { c.run(t, proxy, direct, h) })
		}
	})
}

func (c *cutting) run(t *testing.T, proxy *backend.Proxy, direct, h *guest.Harness) {
	prepare := func() {
		if c.before == "" {
			require.NoError(t, direct.Delete([]byte("key"), now))
		} else {
			require.NoError(t, direct.Set(set("key", c.before, 1, abi.ExpectAny)))
		}
	}
	connect := func() { // anew
		proxy.CutAll()
		_, err := h.Get([]byte("absent"), now)
		require.ErrorIs(t, err, guest.ErrNotFound)
	}
	// Once without a cut: this is how many bytes there are.
	prepare()
	connect()
	bytes := func(d int) int64 { return proxy.Bytes(backend.Direction(d)) }
	was := [2]int64{bytes(0), bytes(1)}
	require.NoError(t, c.do(h))
	size := [2]int64{bytes(0) - was[0], bytes(1) - was[1]}
	for direction, total := range size {
		require.Positive(t, total)
		for at := range total {
			if at > 100 && at < total-100 && at%9 != 0 {
				continue // within the text of a script
			}
			prepare()
			connect()
			cuts := proxy.Cuts()
			proxy.CutAfter(at, backend.Direction(direction))
			err := c.do(h)
			require.Equal(t, cuts+1, proxy.Cuts(), "nothing was cut after %d of %d bytes", at, total)
			if c.safe {
				require.NoError(t, err, "cut after %d of %d bytes in direction %d", at, total, direction)
			} else if err != nil {
				require.ErrorIs(t, err, guest.ErrUnavailable)
			}
			got, getErr := direct.Get([]byte("key"), now)
			is := ""
			if getErr == nil {
				is = string(got[8:])
			} else {
				require.ErrorIs(t, getErr, guest.ErrNotFound)
			}
			if err == nil {
				require.Equal(t, c.after, is, "it was acknowledged, and was not done")
			} else {
				require.Contains(t, []string{c.before, c.after}, is)
			}
		}
	}
}

// TestBatchCutAtEveryByte: the same for a batch: its operations have their answers
// each for itself.
func TestBatchCutAtEveryByte(t *testing.T) {
	server := anyServer(t)
	proxy := backend.NewProxy(t, server.Addr())
	direct, e := start(t, server.Addr())
	h, _, err := tryStart(t, "addresses", proxy.Addr(), "prefix", string(e.prefix))
	require.NoError(t, err)
	ops := []abi.BatchOp{
		{Kind: abi.BatchGet, Key: []byte("a"), Now: now},
		{Kind: abi.BatchSet, Key: []byte("b"), Value: value(2, "b2"), Now: now, Expect: 1},
		{Kind: abi.BatchSet, Key: []byte("c"), Value: value(2, "c2"), Now: now, Expect: abi.ExpectAny},
		{Kind: abi.BatchDelete, Key: []byte("d"), Now: now},
		{Kind: abi.BatchTouch, Key: []byte("e"), Expires: now + 2*hour, Now: now},
		{Kind: abi.BatchSet, Key: []byte("f"), Value: value(2, "f2"), Now: now, Expect: abi.ExpectAbsent},
	}
	var list []byte
	for i := range ops {
		list = abi.AppendBatchOp(list, &ops[i])
	}
	prepare := func() {
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			require.NoError(t, direct.Set(set(key, key+"1", 1, abi.ExpectAny)))
		}
		require.NoError(t, direct.Delete([]byte("f"), now))
		proxy.CutAll()
		_, err := h.Get([]byte("absent"), now)
		require.ErrorIs(t, err, guest.ErrNotFound)
	}
	check := func(where string, results []byte) {
		for i, want := range []string{"a1", "b2", "c2", "", "e1", "f2"} {
			code, body, rest, ok := abi.NextBatchResult(results)
			require.True(t, ok)
			results = rest
			key := string(ops[i].Key)
			got, err := direct.Get([]byte(key), now)
			is := ""
			if err == nil {
				is = string(got[8:])
			}
			switch {
			case i == 2 && code == abi.Unavailable:
				require.Contains(t, []string{"c1", "c2"}, is, where)
			default:
				require.Equal(t, abi.Code(0), code, "%s: operation %d: %s", where, i, body)
				require.Equal(t, want, is, "%s: operation %d", where, i)
			}
			if i == 0 {
				require.Equal(t, value(1, "a1"), body)
			}
		}
		require.Empty(t, results)
	}
	prepare()
	size := [2]int64{proxy.Bytes(backend.ToServer), proxy.Bytes(backend.ToClient)}
	results, err := h.Batch(list)
	require.NoError(t, err)
	check("uncut", results)
	size[0], size[1] = proxy.Bytes(backend.ToServer)-size[0], proxy.Bytes(backend.ToClient)-size[1]
	for direction, total := range size {
		for at := range total {
			if at > 200 && at < total-200 && at%9 != 0 {
				continue // mostly within the texts of scripts
			}
			prepare()
			cuts := proxy.Cuts()
			proxy.CutAfter(at, backend.Direction(direction))
			results, err := h.Batch(list)
			require.NoError(t, err)
			require.Equal(t, cuts+1, proxy.Cuts())
			check(fmt.Sprintf("cut after %d of %d bytes in direction %d", at, total, direction), results)
		}
	}
}

// TestWrittenInBetween: the answer to a conditional write is lost, and another host writes
// before it is sent again. That is no conflict: who took it for one would do it twice.
func TestWrittenInBetween(t *testing.T) {
	eachServer(t, func(t *testing.T, server *backend.Server) {
		direct, e := start(t, server.Addr())
		for _, c := range []struct {
			name    string
			write   guest.Write
			between func() error
			is      error
		}{
			{"nobody", set("key", "mine", 2, 1), func() error { return nil }, nil},
			{"another has written over it", set("key", "mine", 2, 1), func() error { return e.Set(set("key", "its", 3, 2)) }, guest.ErrUnavailable},
			{"another has deleted it", set("key", "mine", 2, 1), func() error { return e.Delete([]byte("key"), now) }, guest.ErrUnavailable},
			{"another has touched it", set("key", "mine", 2, 1), func() error { return e.Touch([]byte("key"), now+2*hour, now) }, nil},
			{"another has created it", set("new", "mine", 2, abi.ExpectAbsent), func() error { return e.Set(set("new", "its", 3, 2)) }, guest.ErrUnavailable},
			{"another has written over it, without a condition", set("key", "mine", 2, abi.ExpectAny), func() error { return e.Set(set("key", "its", 3, 2)) }, guest.ErrUnavailable},
			{"nobody, without a condition", set("key", "mine", 2, abi.ExpectAny), func() error { return nil }, guest.ErrUnavailable},
			{"another has removed it", expired(set("key", "", 2, 1)), func() error { return nil }, nil},
			{"another has created it anew", expired(set("key", "", 2, 1)), func() error { return e.Set(set("key", "its", 3, abi.ExpectAbsent)) }, guest.ErrUnavailable},
		} {
			t.Run(c.name, func(t *testing.T) {
				require.NoError(t, direct.Clear(now))
				require.NoError(t, direct.Set(set("key", "old", 1, abi.ExpectAny)))
				relay := newRelay(t, server.Addr())
				h, _, err := tryStart(t, "addresses", relay.Addr(), "prefix", string(e.prefix))
				require.NoError(t, err)
				relay.dropNextAnswer(c.between)
				err = h.Set(c.write)
				require.NoError(t, relay.dropped())
				if c.is == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, c.is)
				}
				// What the other one wrote, which was acknowledged, is there.
				if value, err := direct.Get(c.write.Key, now); err == nil && strings.Contains(c.name, "written") {
					require.Equal(t, "its", string(value[8:]))
				}
			})
		}
	})
}

func expired(w guest.Write) guest.Write {
	w.Expires = w.Now
	return w
}

// TestServerGone: while a server is gone, calls fail soon; when it is back they succeed,
// without anybody's doing, and what was acknowledged is there.
func TestServerGone(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{Persist: true})
	h, _ := start(t, server.Addr())
	require.NoError(t, h.Set(set("key", "text", 1, abi.ExpectAny)))
	for _, end := range []func(){server.Stop, server.Kill} {
		end()
		began := time.Now()
		const calls = 100
		for range calls {
			_, err := h.Get([]byte("key"), now)
			require.ErrorIs(t, err, guest.ErrUnavailable)
			require.ErrorContains(t, err, server.Addr())
		}
		require.Less(t, time.Since(began), 10*time.Second, "%d calls", calls)
		server.Restart()
		require.Eventually(t, func() bool {
			_, err := h.Get([]byte("key"), now)
			return err == nil
		}, 10*time.Second, time.Millisecond)
		require.NoError(t, h.Set(set("key", "text", 1, 1)))
	}
	// Between two calls: nobody notices.
	server.Restart()
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, h.Set(set("key", "more", 2, abi.ExpectAny)), "the connection had ended before the call")
	server.CutClients()
	got, err := h.Get([]byte("key"), now)
	require.NoError(t, err)
	require.Equal(t, value(2, "more"), got)
}

// TestServerPaused: a server that does not answer makes a call fail after timeout_ms. Its
// late answer is nobody's.
func TestServerPaused(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{})
	h, _ := start(t, server.Addr(), "timeout_ms", "200")
	require.NoError(t, h.Set(set("one", "one", 1, abi.ExpectAny)))
	require.NoError(t, h.Set(set("two", "two", 1, abi.ExpectAny)))
	server.Pause()
	began := time.Now()
	_, err := h.Get([]byte("one"), now)
	require.ErrorIs(t, err, guest.ErrUnavailable)
	require.ErrorContains(t, err, "did not answer in time")
	require.ErrorIs(t, h.Set(set("one", "later", 2, 1)), guest.ErrUnavailable)
	require.Greater(t, time.Since(began), 200*time.Millisecond)
	require.Less(t, time.Since(began), 10*time.Second)
	server.Resume()
	require.Eventually(t, func() bool {
		got, err := h.Get([]byte("two"), now)
		if err != nil {
			require.ErrorIs(t, err, guest.ErrUnavailable)
			return false
		}
		require.Equal(t, value(1, "two"), got)
		return true
	}, 10*time.Second, time.Millisecond)
}

// TestServerFull: a server without room refuses writes with NO_SPACE, reads and removes
// all the same, and takes writes again when there is room.
func TestServerFull(t *testing.T) {
	for _, name := range backend.RedisPrograms {
		t.Run(name, func(t *testing.T) {
			server := backend.Redis(t, backend.RedisOptions{Program: name, MaxMemory: 8 << 20})
			h, _ := start(t, server.Addr())
			big := make([]byte, 64<<10)
			write := func(n int, expect int64) error {
				return h.Set(guest.Write{Key: fmt.Appendf(nil, "key %d", n), Value: append(value(1, ""), big...), Now: now, Expect: expect})
			}
			n, err := 0, error(nil)
			for ; err == nil && n < 1000; n++ {
				err = write(n, abi.ExpectAny)
			}
			require.ErrorIs(t, err, guest.ErrNoSpace)
			require.ErrorIs(t, write(n, abi.ExpectAbsent), guest.ErrNoSpace)
			require.ErrorIs(t, write(0, 1), guest.ErrNoSpace)
			_, err = h.Get([]byte("key 0"), now)
			require.NoError(t, err)
			require.NoError(t, h.Delete([]byte("key 0"), now))
			require.NoError(t, h.Set(guest.Write{Key: []byte("key 1"), Value: value(2, ""), Expires: now, Now: now, Expect: 1}), "a conditional removal")
			_, err = h.Get([]byte("key 1"), now)
			require.ErrorIs(t, err, guest.ErrNotFound)
			for i := range 10 {
				require.NoError(t, h.Delete(fmt.Appendf(nil, "key %d", i), now))
			}
			require.NoError(t, write(1, abi.ExpectAbsent))
			require.NoError(t, h.Clear(now))
		})
	}
}

// TestPasswordChanged: an engine that cannot log in any more says so, and goes on when it can.
func TestPasswordChanged(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{Password: secret})
	h, _ := start(t, server.Addr(), "password", secret)
	require.NoError(t, h.Set(set("key", "text", 1, abi.ExpectAny)))
	server.SetPassword("other")
	server.CutClients()
	_, err := h.Get([]byte("key"), now)
	require.ErrorIs(t, err, guest.ErrDenied)
	require.NotContains(t, err.Error(), secret)
	server.SetPassword(secret)
	require.Eventually(t, func() bool {
		_, err := h.Get([]byte("key"), now)
		if err != nil {
			require.ErrorIs(t, err, guest.ErrDenied)
		}
		return err == nil
	}, 10*time.Second, time.Millisecond)
}

// TestOneTrip: each operation is one command in one trip, also the first conditional ones
// over a connection.
func TestOneTrip(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{})
	h, _ := start(t, server.Addr())
	trips := func() int {
		n := 0
		_, err := fmt.Sscan(server.Info("total_reads_processed"), &n)
		require.NoError(t, err)
		return n
	}
	before := trips()
	cost := trips() - before // of asking
	for name, do := range map[string]func() error{
		"get":      func() error { _, err := h.Get([]byte("key"), now); return err },
		"set":      func() error { return h.Set(set("key", "text", 1, abi.ExpectAny)) },
		"create":   func() error { return h.Set(set("new", "text", 1, abi.ExpectAbsent)) },
		"compare":  func() error { return h.Set(set("key", "text", 1, 1)) },
		"conflict": func() error { _ = h.Set(set("key", "text", 1, 9)); return nil },
		"touch":    func() error { return h.Touch([]byte("key"), now+hour, now) },
		"delete":   func() error { return h.Delete([]byte("nothing"), now) },
		"save":     func() error { return h.Save(now) },
	} {
		require.NoError(t, h.Set(set("key", "text", 1, abi.ExpectAny)))
		require.NoError(t, h.Delete([]byte("new"), now))
		before := trips()
		require.NoError(t, do())
		want := 1
		if name == "save" {
			want = 0
		}
		require.Equal(t, want, trips()-before-cost, name)
	}
	// A batch is one, too.
	var list []byte
	for i := range abi.MaxBatch {
		list = abi.AppendBatchOp(list, &abi.BatchOp{Kind: abi.BatchGet, Key: fmt.Appendf(nil, "%d", i), Now: now})
	}
	before = trips()
	_, err := h.Batch(list)
	require.NoError(t, err)
	require.LessOrEqual(t, trips()-before-cost, 4, "a server reads 16 KiB at a time")
}

// TestPauseBetweenAttempts: a server that is gone is not connected to by each call, and
// is found again within the longest pause.
func TestPauseBetweenAttempts(t *testing.T) {
	server := backend.Redis(t, backend.RedisOptions{})
	proxy := backend.NewProxy(t, server.Addr())
	h, _ := start(t, proxy.Addr())
	server.Kill()
	proxy.CutAll()
	before, _ := proxy.Connections()
	calls := 0
	for began := time.Now(); time.Since(began) < 500*time.Millisecond; calls++ {
		_, err := h.Get([]byte("key"), now)
		require.ErrorIs(t, err, guest.ErrUnavailable)
	}
	after, _ := proxy.Connections()
	require.Positive(t, after-before)
	require.LessOrEqual(t, after-before, int64(10), "20, 40, 80, 160 ms, and what comes first")
	require.Greater(t, calls, 100, "calls in between fail at once")
	server.Restart()
	require.Eventually(t, func() bool {
		_, err := h.Get([]byte("key"), now)
		return err == guest.ErrNotFound
	}, 20*mostPause, time.Millisecond)
}

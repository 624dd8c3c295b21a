package topology_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
	"github.com/waddle-sessions/waddle/guest/engines/redis/topology"
	"github.com/waddle-sessions/waddle/guest/network"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

func TestMain(m *testing.M) { os.Exit(backend.Main(m)) }

// dialer connects as an engine does, with a password if there is one.
type dialer struct {
	password string
	tls      bool
	dialled  []string
	refuse   func(address string) error
}

func (d *dialer) dial(address string, until time.Time) (*resp.Conn, error) {
	d.dialled = append(d.dialled, address)
	if d.refuse != nil {
		if err := d.refuse(address); err != nil {
			return nil, err
		}
	}
	kind := "tcp"
	if d.tls {
		kind = "tls"
	}
	stream, err := (&network.Dialer{Blocking: true, Timeout: max(time.Until(until), time.Millisecond)}).Dial(kind, address)
	if err != nil {
		return nil, err
	}
	conn := resp.NewConn(stream, resp.Limits{})
	conn.SetDeadline(until)
	if d.password == "" {
		return conn, nil
	}
	conn.Do("AUTH", d.password)
	r, err := conn.Read()
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// trust makes native connections trust certificates. Tests that use it are not parallel.
func trust(t *testing.T, certs *backend.Certificates) {
	network.NativeTLS = certs.Client()
	t.Cleanup(func() { network.NativeTLS = nil })
}

// caller sends commands in the way of the engine: all of them, then it reads all answers,
// and sends again what has to be.
type caller struct {
	nodes   topology.Nodes
	timeout time.Duration
	rounds  int // of the last call
}

const prefix = "p:"

// command is one, whose key stands second in args, without the prefix.
type command struct {
	args []string

	conn    *resp.Conn
	asking  bool
	refused resp.Error
	losses  int
	done    bool
	answer  any // a string, an int64 or nil
	err     error
}

const mostRounds = 12

func (c *caller) do(commands ...*command) {
	now := time.Now()
	timeout := c.timeout
	if timeout == 0 {
		timeout = 20 * time.Second
	}
	c.nodes.Begin(now, now.Add(timeout))
	for c.rounds = 1; ; c.rounds++ {
		c.round(commands)
		left := 0
		for _, m := range commands {
			if !m.done && c.rounds == mostRounds {
				m.fail(fmt.Errorf("still not done: %w", m.refused))
			}
			left += b2i(!m.done)
		}
		if left == 0 {
			return
		}
		c.nodes.Round()
	}
}

func (c *caller) round(commands []*command) {
	for _, m := range commands {
		if m.done {
			continue
		}
		var err error
		if m.asking = false; m.refused != "" {
			m.conn, m.asking, err = c.nodes.Redirect(m.refused, []byte(m.args[1]))
			if err == nil && m.conn == nil {
				err = m.refused
			}
		} else {
			m.conn, err = c.nodes.For([]byte(m.args[1]))
		}
		if m.refused = ""; err != nil {
			m.fail(err)
		}
	}
	for _, m := range commands {
		if m.done {
			continue
		}
		if m.asking {
			m.conn.Do("ASKING")
		}
		args := append([]string(nil), m.args...)
		args[1] = prefix + args[1]
		m.conn.Do(args...)
	}
	for _, m := range commands {
		if !m.done {
			_ = m.conn.Flush()
		}
	}
	for _, m := range commands {
		if !m.done {
			c.receive(m)
		}
	}
}

func (c *caller) receive(m *command) {
	var r resp.Reply
	var err error
	if m.asking {
		_, err = m.conn.Read()
	}
	if err == nil {
		r, err = m.conn.Read()
	}
	switch {
	case err != nil:
		c.nodes.Failed(m.conn)
		if m.losses++; m.losses > 1 {
			m.fail(err)
		}
	case r.Kind == resp.Failed:
		m.refused = resp.Error(r.Text)
	default:
		m.done = true
		switch r.Kind {
		case resp.Int:
			m.answer = r.Int
		case resp.Null:
		default:
			m.answer = string(r.Text)
		}
	}
}

func (m *command) fail(err error) { m.done, m.err = true, err }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// one does a single command, which must succeed.
func (c *caller) one(t *testing.T, args ...string) any {
	t.Helper()
	m := &command{args: args}
	c.do(m)
	require.NoError(t, m.err)
	return m.answer
}

// try does a single command.
func (c *caller) try(args ...string) (any, error) {
	m := &command{args: args}
	c.do(m)
	return m.answer, m.err
}

// set stores n keys in one batch.
func (c *caller) set(t *testing.T, n int) {
	t.Helper()
	commands := make([]*command, n)
	for i := range commands {
		commands[i] = &command{args: []string{"SET", "k" + strconv.Itoa(i), strconv.Itoa(i)}}
	}
	c.do(commands...)
	for _, m := range commands {
		require.NoError(t, m.err)
	}
}

// scan enumerates all keys, calling between after each page, and returns how often each
// came.
func (c *caller) scan(between func(page int)) (map[string]int, error) {
	found := make(map[string]int)
	place, seen := int64(0), make(map[int64]bool)
	for page := 0; ; page++ {
		now := time.Now()
		c.nodes.Begin(now, now.Add(5*time.Second))
		var r resp.Reply
		for try := range 2 {
			conn, cursor, err := c.nodes.Scan(place)
			if err != nil {
				return nil, err
			}
			conn.Do("SCAN", strconv.FormatUint(cursor, 10), "COUNT", "100")
			if r, err = conn.Read(); err == nil {
				break
			}
			c.nodes.Failed(conn)
			if try == 1 {
				return nil, err
			}
		}
		if err := r.Err(); err != nil {
			return nil, err
		}
		for _, key := range r.Elements[1].Elements {
			found[string(key.Text)]++
		}
		next, err := strconv.ParseUint(string(r.Elements[0].Text), 10, 64)
		if err != nil {
			return nil, err
		}
		if place, err = c.nodes.Scanned(next); err != nil {
			return nil, err
		}
		if place == 0 {
			return found, nil
		}
		if seen[place] || place < 0 {
			return nil, errors.New("a place came twice, or is negative")
		}
		seen[place] = true
		if between != nil {
			between(page)
		}
	}
}

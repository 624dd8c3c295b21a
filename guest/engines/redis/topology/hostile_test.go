package topology_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
	"github.com/waddle-sessions/waddle/guest/engines/redis/topology"
)

// open returns a caller of a cluster that consists of fakes.
func open(t *testing.T, d *dialer, seeds ...string) *caller {
	nodes := topology.Cluster(topology.Options{Addresses: seeds, Prefix: []byte(prefix), Dial: d.dial})
	t.Cleanup(nodes.Close)
	return &caller{nodes: nodes, timeout: 2 * time.Second}
}

// TestForbiddenAddressesAreNotReached has nodes that send the guest where it was not granted
// to go. It follows the dialer's answer, says which address that was, and recovers.
func TestForbiddenAddressesAreNotReached(t *testing.T) {
	t.Parallel()
	const metadata = "169.254.169.254:80"
	forbidden := errors.New("not granted")
	for _, verb := range []string{"MOVED", "ASK", "CLUSTER SLOTS"} {
		t.Run(verb, func(t *testing.T) {
			var honest atomic.Bool
			var self string
			self = fake(t, func(args []string) string {
				switch {
				case args[0] == "CLUSTER" && (verb != "CLUSTER SLOTS" || honest.Load()):
					return slotsReply(self)
				case args[0] == "CLUSTER":
					return slotsReply(metadata)
				case honest.Load():
					return "+fine\r\n"
				}
				return "-" + verb + " 1 " + metadata + "\r\n"
			})
			d := &dialer{refuse: func(address string) error {
				if address != self {
					return forbidden
				}
				return nil
			}}
			c := open(t, d, self)
			for range 20 {
				_, err := c.try("GET", "a")
				require.ErrorIs(t, err, forbidden)
				require.ErrorContains(t, err, metadata)
			}
			honest.Store(true)
			require.Eventually(t, func() bool {
				answer, err := c.try("GET", "a")
				return err == nil && answer == "fine"
			}, 10*time.Second, 10*time.Millisecond)
		})
	}
}

// TestRedirectsEnd has nodes that send the guest from one to the other for ever, and ones
// that name new nodes for ever.
func TestRedirectsEnd(t *testing.T) {
	t.Parallel()
	var a, b string
	answer := func(other *string) func([]string) string {
		return func(args []string) string {
			if args[0] == "CLUSTER" {
				return slotsReply(a, b)
			}
			return "-MOVED 1 " + *other + "\r\n"
		}
	}
	a = fake(t, answer(&b))
	b = fake(t, answer(&a))
	c := open(t, new(dialer), a)
	_, err := c.try("GET", "a")
	require.ErrorContains(t, err, "MOVED")

	n := 0
	var self string
	self = fake(t, func(args []string) string {
		if args[0] == "CLUSTER" {
			return slotsReply(self)
		}
		n++
		return fmt.Sprintf("-ASK 1 10.%d.%d.1:6379\r\n", n/250, n%250)
	})
	d := &dialer{refuse: func(address string) error {
		if address == self {
			return nil
		}
		return errors.New("not granted")
	}}
	c = open(t, d, self)
	for range 20 {
		commands := make([]*command, 256)
		for i := range commands {
			commands[i] = &command{args: []string{"GET", itoa(i)}}
		}
		c.do(commands...)
		for _, m := range commands {
			require.Error(t, m.err)
		}
		require.LessOrEqual(t, topology.NodeCount(c.nodes), 2000)
	}
	require.Greater(t, n, 5000)
}

// TestTheMapIsReadSeldom counts how often the map is asked for.
func TestTheMapIsReadSeldom(t *testing.T) {
	t.Parallel()
	asked := 0
	var self, other string
	moved := func(to *string) func([]string) string {
		return func(args []string) string {
			if args[0] == "CLUSTER" {
				asked++
				return slotsReply(self)
			}
			if to == nil {
				return "+OK\r\n"
			}
			return "-MOVED 1 " + *to + "\r\n"
		}
	}
	self, other = fake(t, moved(&other)), fake(t, moved(nil))
	c := open(t, new(dialer), self)
	began := time.Now()
	for range 2000 { // the map that is read again is wrong each time
		c.one(t, "GET", "a")
	}
	require.LessOrEqual(t, asked, 2+int(time.Since(began)/time.Second))

	down := 0
	self = fake(t, func(args []string) string {
		if args[0] == "CLUSTER" {
			down++
			return slotsReply(self)
		}
		return "-CLUSTERDOWN The cluster is down\r\n"
	})
	c = open(t, new(dialer), self)
	commands := make([]*command, 256)
	for i := range commands {
		commands[i] = &command{args: []string{"GET", itoa(i)}}
	}
	c.do(commands...)
	require.LessOrEqual(t, down, mostRounds+1, "once in a round at most, not once for each command")
	for _, m := range commands {
		require.ErrorContains(t, m.err, "CLUSTERDOWN")
	}

	// Nobody knows.
	asked = 0
	self = fake(t, func(args []string) string {
		asked++
		return "-ERR unknown command\r\n"
	})
	c = open(t, new(dialer), self)
	for i := range commands {
		commands[i] = &command{args: []string{"GET", itoa(i)}}
	}
	c.do(commands...)
	require.Equal(t, 1, asked)

	// Nobody can be reached.
	d := &dialer{refuse: func(string) error { return errors.New("unreachable") }}
	c = open(t, d, "a:1", "b:2", "c:3")
	for i := range commands {
		commands[i] = &command{args: []string{"GET", itoa(i)}}
	}
	c.do(commands...)
	require.Len(t, d.dialled, 3)
	for _, m := range commands {
		require.ErrorContains(t, m.err, "unreachable")
	}
}

// TestStrangeMaps has a first node with answers that are no maps. The second one is asked.
func TestStrangeMaps(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "+OK\r\n", "*0\r\n", "*1\r\n:1\r\n", "*1\r\n*0\r\n", "-ERR This instance has cluster support disabled\r\n",
		"*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n",
		"*1\r\n*3\r\n:-1\r\n:5\r\n*2\r\n$1\r\na\r\n:1\r\n",
		"*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n:70000\r\n",
		"*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$3\r\na b\r\n:1\r\n",
		"*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\n?\r\n:1\r\n",
		"*99999999\r\n", "nonsense\r\n",
	} {
		first := fake(t, func(args []string) string { return text })
		var second string
		second = fake(t, func(args []string) string {
			if args[0] == "CLUSTER" {
				return slotsReply(second)
			}
			return "+fine\r\n"
		})
		require.Equal(t, "fine", open(t, new(dialer), first, second).one(t, "GET", "a"), "%q", text)
		_, err := open(t, new(dialer), first).try("GET", "a")
		require.ErrorContains(t, err, "no node of the cluster tells", "%q", text)
	}
}

// TestHostsThatAreNotNamed has a cluster whose nodes only say their ports.
func TestHostsThatAreNotNamed(t *testing.T) {
	t.Parallel()
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	for _, host := range []string{"$-1\r\n", "$0\r\n\r\n"} {
		target := fake(t, func(args []string) string { return "+fine\r\n" })
		seed := fake(t, func(args []string) string {
			return "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n" + host + ":" + port(target) + "\r\n"
		})
		require.Equal(t, "fine", open(t, new(dialer), seed).one(t, "GET", "a"))

		var first string
		first = fake(t, func(args []string) string {
			if args[0] == "CLUSTER" {
				return slotsReply(first)
			}
			return "-MOVED 1 :" + port(target) + "\r\n"
		})
		require.Equal(t, "fine", open(t, new(dialer), first).one(t, "GET", "a"))
	}
}

func FuzzSlotRanges(f *testing.F) {
	f.Add(slotsReply("127.0.0.1:7000", "[::1]:7001"), "h")
	f.Add("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$-1\r\n:1\r\n", "")
	f.Fuzz(func(t *testing.T, answer, host string) {
		conn := resp.NewConn(&canned{Reader: strings.NewReader(answer)}, resp.Limits{})
		conn.Do("CLUSTER", "SLOTS")
		r, err := conn.Read()
		if err != nil {
			return
		}
		ranges, err := topology.SlotRanges(&r, host)
		if err != nil {
			return
		}
		for _, r := range ranges {
			dialable(t, topology.RangeAddress(r))
		}
	})
}

func FuzzRedirect(f *testing.F) {
	f.Add("MOVED 3999 127.0.0.1:6381")
	f.Add("ASK 3999 ::1:6381")
	f.Add("MOVED 3999 :6381")
	f.Fuzz(func(t *testing.T, refused string) {
		host, port, err := topology.Redirect(refused)
		if err != nil {
			return
		}
		if to, err := topology.Address(host, port); err == nil {
			dialable(t, to)
		}
	})
}

// dialable fails for what is no address of a host and a port.
func dialable(t *testing.T, address string) {
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	require.NotEmpty(t, host)
	require.NotContains(t, host, "/")
	require.NotEqual(t, "0", port)
	_, err = net.LookupPort("tcp", port)
	require.NoError(t, err)
}

func FuzzPlace(f *testing.F) {
	f.Add(int64(1))
	f.Fuzz(func(t *testing.T, place int64) {
		if place >= 0 {
			require.Equal(t, place, topology.Place(place))
		}
	})
}

// canned is a stream that has an answer already.
type canned struct {
	io.Reader
	bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error)    { return c.Reader.Read(p) }
func (c *canned) Close() error                  { return nil }
func (c *canned) SetDeadline(t time.Time) error { return nil }

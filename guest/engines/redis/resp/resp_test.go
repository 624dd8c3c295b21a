package resp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// wire is a stream that gives what a server would answer in pieces, and takes what is
// written up to a number of bytes.
type wire struct {
	answers []byte
	piece   int // bytes given at once, 0 for all
	takes   int // bytes taken before writing fails, negative for all
	wrote   bytes.Buffer
	closed  int
}

var errCut = errors.New("cut")

func (w *wire) Read(p []byte) (int, error) {
	if len(w.answers) == 0 {
		return 0, io.EOF
	}
	n := len(w.answers)
	if w.piece > 0 {
		n = min(n, w.piece)
	}
	n = copy(p, w.answers[:n])
	w.answers = w.answers[n:]
	return n, nil
}

func (w *wire) Write(p []byte) (int, error) {
	if w.takes >= 0 && len(p) > w.takes {
		n, _ := w.wrote.Write(p[:w.takes])
		w.takes = 0
		return n, errCut
	}
	if w.takes >= 0 {
		w.takes -= len(p)
	}
	return w.wrote.Write(p)
}

func (w *wire) Close() error                { w.closed++; return nil }
func (w *wire) SetDeadline(time.Time) error { return nil }

func answers(text string) *wire { return &wire{answers: []byte(text), takes: -1} }

// show writes a reply on one line.
func show(r *resp.Reply) string {
	switch r.Kind {
	case resp.Null:
		return "null"
	case resp.Int:
		return strconv.FormatInt(r.Int, 10)
	case resp.Status:
		return "+" + string(r.Text)
	case resp.Failed:
		return "-" + string(r.Text)
	case resp.Bulk:
		return strconv.Quote(string(r.Text))
	}
	var parts []string
	for i := range r.Elements {
		parts = append(parts, show(&r.Elements[i]))
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// TestReplies: every form of an answer is read, in whatever pieces it arrives, and one
// after the other.
func TestReplies(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	cases := []struct{ wire, is string }{
		{"+OK\r\n", "+OK"},
		{"+\r\n", "+"},
		{"-ERR no such thing\r\n", "-ERR no such thing"},
		{":0\r\n", "0"},
		{":-1\r\n", "-1"},
		{":9223372036854775807\r\n", strconv.Itoa(math.MaxInt64)},
		{":-9223372036854775808\r\n", strconv.Itoa(math.MinInt64)},
		{"$-1\r\n", "null"},
		{"*-1\r\n", "null"},
		{"$0\r\n\r\n", `""`},
		{"$5\r\na\r\nb\x00\r\n", `"a\r\nb\x00"`},
		{"$40000\r\n" + long + "\r\n", strconv.Quote(long)},
		{"*0\r\n", "[]"},
		{"*2\r\n$1\r\n0\r\n*2\r\n$3\r\none\r\n$3\r\ntwo\r\n", `["0" ["one" "two"]]`},
		{"*3\r\n*2\r\n:1\r\n*1\r\n+a\r\n*0\r\n-ERR within\r\n", `[[1 [+a]] [] -ERR within]`},
		{"*2\r\n$-1\r\n$40000\r\n" + long + "\r\n", `[null ` + strconv.Quote(long) + `]`},
	}
	all, pieces := "", []int{0, 1, 2, 3, 7, 4096, 16_384, 16_385}
	for _, c := range cases {
		all += c.wire
	}
	for _, piece := range pieces {
		w := answers(all)
		w.piece = piece
		conn := resp.NewConn(w, resp.Limits{})
		for range cases {
			conn.Do("PING")
		}
		for _, c := range cases {
			r, err := conn.Read()
			require.NoError(t, err, "%d bytes at once: %.40q", piece, c.wire)
			require.Equal(t, c.is, show(&r))
			if r.Kind == resp.Failed {
				require.EqualError(t, r.Err(), `the server answered "ERR no such thing"`)
			} else {
				require.NoError(t, r.Err())
			}
		}
		require.Zero(t, conn.Pending())
		_, err := conn.Read()
		require.ErrorIs(t, err, resp.ErrUnexpected, "there is no further command")
	}
}

// TestMalformed: what is not RESP2, or is larger than allowed, ends the connection.
func TestMalformed(t *testing.T) {
	limits := resp.Limits{Bytes: 100, Elements: 5, Depth: 2}
	for _, c := range []struct {
		wire string
		is   error
	}{
		{"", io.EOF},
		{"+OK", io.EOF},
		{"+OK\r", io.EOF},
		{"$5\r\nabc", io.EOF},
		{"*2\r\n:1\r\n", io.EOF},
		{"\r\n", resp.ErrMalformed},
		{"\n", resp.ErrMalformed},
		{"+OK\n", resp.ErrMalformed},
		{"OK\r\n", resp.ErrMalformed},
		{"HTTP/1.1 400 Bad Request\r\n", resp.ErrMalformed},
		{"\x15\x03\x01\x00\x02\x02\x46\r\n", resp.ErrMalformed}, // an alert of TLS
		{":\r\n", resp.ErrMalformed},
		{":+1\r\n", resp.ErrMalformed},
		{":01\r\n", resp.ErrMalformed},
		{":-0\r\n", resp.ErrMalformed},
		{":1 \r\n", resp.ErrMalformed},
		{":9223372036854775808\r\n", resp.ErrMalformed},
		{":-9223372036854775809\r\n", resp.ErrMalformed},
		{":18446744073709551617\r\n", resp.ErrMalformed},
		{":99999999999999999999999\r\n", resp.ErrMalformed},
		{"$-2\r\n", resp.ErrMalformed},
		{"$x\r\n", resp.ErrMalformed},
		{"$2\r\nabc\r\n", resp.ErrMalformed},
		{"$2\r\nab\n\r", resp.ErrMalformed},
		{"*-2\r\n", resp.ErrMalformed},
		{"*1\r\n*\r\n", resp.ErrMalformed},
		{"_\r\n", resp.ErrMalformed},              // RESP3's null
		{"%1\r\n+a\r\n+b\r\n", resp.ErrMalformed}, // RESP3's map
		{"$95\r\n", resp.ErrTooLarge},
		{"$9223372036854775807\r\n", resp.ErrTooLarge},
		{"*6\r\n", resp.ErrTooLarge},
		{"*9223372036854775807\r\n", resp.ErrTooLarge},
		{"*3\r\n*3\r\n", resp.ErrTooLarge}, // six elements in all
		{"*1\r\n*1\r\n*1\r\n:1\r\n", resp.ErrTooLarge},
		{"*2\r\n$50\r\n" + strings.Repeat("a", 50) + "\r\n$50\r\n", resp.ErrTooLarge}, // a hundred bytes in all
		{"+" + strings.Repeat("a", 200) + "\r\n", resp.ErrTooLarge},
	} {
		for _, piece := range []int{0, 1} {
			w := answers(c.wire)
			w.piece = piece
			conn := resp.NewConn(w, limits)
			conn.Do("PING")
			_, err := conn.Read()
			require.ErrorIs(t, err, c.is, "%q", c.wire)
			require.Equal(t, 1, w.closed)
			require.ErrorIs(t, conn.Err(), c.is)

			// It stays closed, although answers would be there.
			w.answers = []byte("+OK\r\n")
			conn.Do("PING")
			require.ErrorIs(t, conn.Flush(), c.is)
			_, err = conn.Read()
			require.ErrorIs(t, err, c.is)
			conn.Close()
			require.Equal(t, 1, w.closed)
		}
	}
	// A line is bounded, whatever a reply may have.
	conn := resp.NewConn(answers("-ERR "+strings.Repeat("a", 10_000)+"\r\n"), resp.Limits{})
	conn.Do("PING")
	_, err := conn.Read()
	require.ErrorIs(t, err, resp.ErrTooLarge)
}

// TestCommands: arguments of all kinds and lengths arrive as they are.
func TestCommands(t *testing.T) {
	small, large := []byte("a\r\n\x00"), bytes.Repeat([]byte("0123456789"), 5000)
	w := answers("")
	conn := resp.NewConn(w, resp.Limits{})
	conn.Do("GET", "")
	conn.Begin(4)
	conn.Text("SET")
	conn.Bytes(small)
	conn.Bytes(large)
	conn.Int(math.MinInt64)
	conn.Begin(2)
	conn.Text("ECHO")
	conn.Parts(small, large, nil, small)
	require.NoError(t, conn.Flush())
	want := fmt.Sprintf("*2\r\n$3\r\nGET\r\n$0\r\n\r\n*4\r\n$3\r\nSET\r\n$4\r\n%s\r\n$50000\r\n%s\r\n$20\r\n%d\r\n*2\r\n$4\r\nECHO\r\n$50008\r\n%s\r\n",
		small, large, math.MinInt64, string(small)+string(large)+string(small))
	require.Equal(t, want, w.wrote.String())
	require.Equal(t, 3, conn.Pending())
	require.EqualValues(t, 3, conn.Sent())

	require.Panics(t, func() { conn.Begin(0) })
	conn.Begin(2)
	conn.Text("GET")
	require.Panics(t, func() { conn.Do("PING") })
	require.Panics(t, func() { _ = conn.Flush() })
	conn.Text("key")
	require.Panics(t, func() { conn.Text("more") })
}

// TestSent: wherever writing is cut, Sent counts the commands that the stream has taken
// whole, and no other.
func TestSent(t *testing.T) {
	large := bytes.Repeat([]byte("v"), 33_000)
	write := func(conn *resp.Conn) error {
		conn.Do("GET", "one")
		conn.Begin(3)
		conn.Text("SET")
		conn.Text("two")
		conn.Bytes(large)
		conn.Do("DEL", "three")
		return conn.Flush()
	}
	whole := answers("")
	require.NoError(t, write(resp.NewConn(whole, resp.Limits{})))
	first := strings.Index(whole.wrote.String(), "*3")
	second := strings.LastIndex(whole.wrote.String(), "*2")
	total := whole.wrote.Len()
	for takes := range total + 1 {
		if takes > first+100 && takes < second-100 && takes%1000 != 0 {
			continue // within the large value
		}
		w := &wire{takes: takes}
		conn := resp.NewConn(w, resp.Limits{})
		err := write(conn)
		want := uint64(0)
		for _, end := range []int{first, second, total} {
			if takes >= end {
				want++
			}
		}
		require.Equal(t, want, conn.Sent(), "cut after %d bytes", takes)
		require.EqualValues(t, 3, conn.Appended())
		if takes < total {
			require.ErrorIs(t, err, errCut)
			require.Equal(t, 1, w.closed)
		} else {
			require.NoError(t, err)
		}
	}
}

// TestPipelineLongerThanTheBuffer: a long list of commands is written in pieces, in
// order.
func TestPipelineLongerThanTheBuffer(t *testing.T) {
	w := answers(strings.Repeat("+OK\r\n", 10_000))
	conn := resp.NewConn(w, resp.Limits{})
	value := strings.Repeat("v", 100)
	for i := range 10_000 {
		conn.Do("SET", strconv.Itoa(i), value)
	}
	require.Less(t, 500_000, w.wrote.Len(), "nothing was written before Flush")
	for range 10_000 {
		r, err := conn.Read()
		require.NoError(t, err)
		require.True(t, r.OK())
	}
	require.Equal(t, 10_000, strings.Count(w.wrote.String(), "SET"))
	require.EqualValues(t, 10_000, conn.Sent())
}

// TestAllocations: a command and its answer allocate nothing, an array neither.
func TestAllocations(t *testing.T) {
	key, value := make([]byte, 32), make([]byte, 300)
	answer := "*2\r\n$1\r\n0\r\n*2\r\n:1\r\n$300\r\n" + strings.Repeat("v", 300) + "\r\n"
	w := &endless{text: []byte(answer)}
	conn := resp.NewConn(w, resp.Limits{})
	got := testing.AllocsPerRun(1000, func() {
		conn.Begin(5)
		conn.Text("SET")
		conn.Bytes(key)
		conn.Parts(key, value)
		conn.Text("PX")
		conn.Int(1_800_060_000)
		r, err := conn.Read()
		if err != nil || len(r.Elements) != 2 {
			t.Fatal(err)
		}
	})
	require.Zero(t, got)
}

// TestMemoryIsGivenBack: one large answer does not keep its buffer.
func TestMemoryIsGivenBack(t *testing.T) {
	const large = 8 << 20
	w := answers("$" + strconv.Itoa(large) + "\r\n" + strings.Repeat("v", large) + "\r\n+OK\r\n+OK\r\n")
	conn := resp.NewConn(w, resp.Limits{})
	w.piece = 1 << 20
	for range 3 {
		conn.Do("PING")
	}
	r, err := conn.Read()
	require.NoError(t, err)
	require.Len(t, r.Text, large)
	for range 2 {
		_, err = conn.Read()
		require.NoError(t, err)
	}
	require.Less(t, resp.Held(conn), 64<<10)
}

// endless answers every read with the same text.
type endless struct {
	wire
	text []byte
}

func (e *endless) Read(p []byte) (int, error)  { return copy(p, e.text), nil }
func (e *endless) Write(p []byte) (int, error) { return len(p), nil }

func TestNumber(t *testing.T) {
	conn := resp.NewConn(answers(":7\r\n$2\r\n12\r\n+3\r\n$1\r\nx\r\n$-1\r\n"), resp.Limits{})
	for _, want := range []int64{7, 12, 3, -1, -1} {
		conn.Do("PING")
		r, err := conn.Read()
		require.NoError(t, err)
		n, ok := r.Number()
		require.Equal(t, want >= 0, ok)
		if ok {
			require.Equal(t, want, n)
		}
	}
	require.Equal(t, "MOVED", resp.Error("MOVED 1 [::1]:6379").Code())
	require.Equal(t, "LOADING", resp.Error("LOADING").Code())
}

package client

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// played is a connection whose other side says what was written down before.
type played struct {
	net.Conn // nil: what is not here is not used
	script   *bytes.Reader
	sent     bytes.Buffer
	most     int // bytes that are taken; -1: all
	closed   bool
}

func (p *played) Read(b []byte) (int, error) {
	if p.closed {
		return 0, net.ErrClosed
	}
	return p.script.Read(b)
}

func (p *played) Write(b []byte) (int, error) {
	if p.most >= 0 && len(b) > p.most {
		p.sent.Write(b[:p.most])
		return p.most, io.ErrClosedPipe
	}
	return p.sent.Write(b)
}

func (p *played) Close() error                { p.closed = true; return nil }
func (p *played) SetDeadline(time.Time) error { return nil }
func (p *played) StartTLS(string) error       { return nil }
func (p *played) Alive() bool                 { return p.script.Len() == 0 }

// says encodes what a server says.
func says(messages ...pgproto3.BackendMessage) (b []byte) {
	for _, m := range messages {
		var err error
		if b, err = m.Encode(b); err != nil {
			panic(err)
		}
	}
	return b
}

var (
	ok     = &pgproto3.AuthenticationOk{}
	idle   = &pgproto3.ReadyForQuery{TxStatus: 'I'}
	key    = &pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte{1, 2, 3, 4}}
	parsed = &pgproto3.ParseComplete{}
	bound  = &pgproto3.BindComplete{}
	done   = &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}
	looked = &pgproto3.DataRow{Values: [][]byte{{0, 0, 0, 0, 0, 0, 0, 7}, {0, 0, 0, 0, 0, 0, 0, 0}, []byte("on")}}
)

func config(script []byte) (*Config, *played) {
	p := &played{script: bytes.NewReader(script), most: -1}
	return &Config{
		User: "user", Password: "secret", Database: "db", MaxMessage: 1 << 20,
		Dial:   func(string, string, time.Time) (Link, error) { return p, nil },
		Random: func(b []byte) { clear(b) },
	}, p
}

func connect(t *testing.T, more ...pgproto3.BackendMessage) (*Conn, *played) {
	t.Helper()
	c, p := config(says(append([]pgproto3.BackendMessage{ok, key, idle, parsed, bound, looked, done, idle}, more...)...))
	conn, err := c.Connect("db:1", time.Time{})
	require.NoError(t, err)
	p.sent.Reset()
	return conn, p
}

func TestLook(t *testing.T) {
	conn, _ := connect(t)
	require.False(t, conn.Pooled)
	require.False(t, conn.Standby)
	require.Equal(t, "on", conn.SyncCommit)

	other := &pgproto3.DataRow{Values: [][]byte{{0, 0, 0, 0, 0, 0, 0, 8}, {0, 0, 0, 0, 0, 0, 0, 1}, []byte("off")}}
	c, _ := config(says(ok, key, idle, parsed, bound, other, done, idle))
	conn, err := c.Connect("db:1", time.Time{})
	require.NoError(t, err)
	require.True(t, conn.Pooled)
	require.True(t, conn.Standby)
	require.Equal(t, "off", conn.SyncCommit)
}

// A server must prove that it knows the password, and gets it in no other way.
func TestServersThatLie(t *testing.T) {
	sasl := &pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}
	first := func(text string) *pgproto3.AuthenticationSASLContinue {
		return &pgproto3.AuthenticationSASLContinue{Data: []byte(text)}
	}
	const nonce = "AAAAAAAAAAAAAAAAAAAAAAAA"
	good := first("r=" + nonce + "server,s=c2FsdA==,i=4096")
	for name, c := range map[string]struct {
		script []byte
		says   string
	}{
		"lets everybody in":       {says(sasl, ok, key, idle), "has not proven that it knows the password"},
		"lets in after half":      {says(sasl, good, ok, key, idle), "has not proven that it knows the password"},
		"a wrong proof":           {says(sasl, good, &pgproto3.AuthenticationSASLFinal{Data: []byte("v=AAAA")}, ok, key, idle), "has not proven that it knows the password"},
		"no proof":                {says(sasl, good, &pgproto3.AuthenticationSASLFinal{Data: []byte("e=other-error")}), "has not proven that it knows the password"},
		"another nonce":           {says(sasl, first("r=other,s=c2FsdA==,i=4096")), "answers another log-in"},
		"our nonce alone":         {says(sasl, first("r="+nonce+",s=c2FsdA==,i=4096")), "answers another log-in"},
		"endless iterations":      {says(sasl, first("r="+nonce+"x,s=c2FsdA==,i=2000000000")), "must be at most 200000"},
		"no iterations":           {says(sasl, first("r="+nonce+"x,s=c2FsdA==,i=0")), "not one of SCRAM-SHA-256"},
		"no salt":                 {says(sasl, first("r="+nonce+"x,s=,i=1")), "not one of SCRAM-SHA-256"},
		"nonsense":                {says(sasl, first("nonsense")), "not one of SCRAM-SHA-256"},
		"another mechanism":       {says(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"OAUTHBEARER"}}), "knows only SCRAM-SHA-256"},
		"clear text":              {says(&pgproto3.AuthenticationCleartextPassword{}), "asks for it in clear text"},
		"something else":          {says(&pgproto3.AuthenticationGSS{}), "knows scram-sha-256, md5 and password"},
		"goes on with nothing":    {says(good), "has not begun"},
		"ends nothing":            {says(&pgproto3.AuthenticationSASLFinal{Data: []byte("v=AAAA")}), "has not begun"},
		"ready at once":           {says(idle), "before it has let anybody in"},
		"a row instead":           {says(looked), "to a log-in"},
		"a message that is large": {append([]byte{'S', 0x40, 0, 0, 0}, "x"...), "expected at most"},
		"nothing":                 {nil, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			config, p := config(c.script)
			_, err := config.Connect("db:1", time.Time{})
			require.ErrorContains(t, err, c.says)
			require.True(t, p.closed)
			require.NotContains(t, p.sent.String(), "secret")
			require.NotContains(t, err.Error(), "secret")
			require.True(t, errors.Is(err, ErrLost) || errors.Is(err, ErrPassword))
		})
	}
}

var get = Statement{SQL: "SELECT 1", Name: "get", Types: []Type{Bytea}}

// A statement is sent with its text once, and then by its name.
func TestPreparedOnce(t *testing.T) {
	one := &pgproto3.DataRow{Values: [][]byte{[]byte("value")}}
	conn, p := connect(t, parsed, bound, one, done, bound, one, done, idle, bound, one, done, idle)
	for range 2 {
		conn.Queue(&get, Bytes([]byte("k")))
	}
	conn.Sync()
	require.NoError(t, conn.Flush())
	require.Equal(t, 1, strings.Count(p.sent.String(), "SELECT 1"))
	for range 2 {
		n, err := conn.Result(func(columns [][]byte) error { require.Equal(t, "value", string(columns[0])); return nil })
		require.NoError(t, err)
		require.Equal(t, int64(1), n)
	}
	require.NoError(t, conn.Synced())
	p.sent.Reset()
	conn.Queue(&get, Bytes(nil))
	conn.Sync()
	require.NoError(t, conn.Flush())
	require.NotContains(t, p.sent.String(), "SELECT 1")
	_, err := conn.Result(nil)
	require.NoError(t, err)
	require.NoError(t, conn.Synced())
	require.True(t, conn.Alive())

	// Behind a pooler it is sent each time, but once in a transaction.
	conn.Forget()
	p.sent.Reset()
	for range 2 {
		conn.Queue(&get, Bytes(nil))
		conn.Queue(&get, Bytes(nil))
		conn.Sync()
	}
	require.NoError(t, conn.Flush())
	require.Equal(t, 2, strings.Count(p.sent.String(), "SELECT 1"))
}

// A loss is sure to have done nothing if the end of the transaction was not sent, or if the
// server had ended before it read anything.
func TestUndone(t *testing.T) {
	shutdown := &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "shutting down"}
	crash := &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P02", Message: "crash"}
	run := func(conn *Conn) error {
		conn.Queue(&get, Bytes([]byte("k")))
		conn.Sync()
		conn.Queue(&get, Bytes([]byte("k")))
		conn.Sync()
		if err := conn.Flush(); err != nil {
			return err
		}
		if _, err := conn.Result(nil); err != nil {
			require.ErrorIs(t, conn.Synced(), ErrLost)
			return err
		}
		return conn.Synced()
	}
	conn, _ := connect(t)
	conn.Queue(&get, Bytes([]byte("k")))
	conn.Sync()
	first := conn.Queued()
	conn.out, conn.queue, conn.firstSync = nil, nil, 0
	for most, undone := range map[int]bool{0: true, 10: true, first - 1: true, first: false, first + 5: false} {
		conn, p := connect(t)
		p.most = most
		err := run(conn)
		require.ErrorIs(t, err, ErrLost)
		require.Equal(t, undone, Undone(err), most)
		require.ErrorIs(t, conn.Flush(), ErrLost)
		require.False(t, conn.Alive())
	}
	for name, c := range map[string]struct {
		messages []pgproto3.BackendMessage
		undone   bool
	}{
		"shut down":                   {[]pgproto3.BackendMessage{shutdown}, true},
		"shut down, with a notice":    {[]pgproto3.BackendMessage{&pgproto3.NoticeResponse{}, shutdown}, true},
		"shut down after it has read": {[]pgproto3.BackendMessage{parsed, bound, shutdown}, false},
		"shut down after it was done": {[]pgproto3.BackendMessage{parsed, bound, done, shutdown}, false},
		"crashed":                     {[]pgproto3.BackendMessage{crash}, false},
		"gone":                        {nil, false},
	} {
		conn, _ := connect(t, c.messages...)
		err := run(conn)
		require.ErrorIs(t, err, ErrLost, name)
		require.Equal(t, c.undone, Undone(err), name)
	}
	conn, _ = connect(t, shutdown)
	conn.Forget()
	require.False(t, Undone(run(conn)), "a pooler says so of a server that has read it")
}

// FuzzServer has a server say anything: the client ends, and takes no more than it may.
func FuzzServer(f *testing.F) {
	f.Add(says(ok, key, idle, parsed, bound, looked, done, idle, parsed, bound, looked, done, idle))
	f.Add(says(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}, &pgproto3.AuthenticationSASLContinue{Data: []byte("r=AAAAAAAAAAAAAAAAAAAAAAAAx,s=c2FsdA==,i=1")}))
	f.Add(says(ok, key, idle, parsed, bound, looked, done, idle, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "40001"}, idle))
	f.Add([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 5})
	f.Fuzz(func(t *testing.T, script []byte) {
		if strings.Contains(string(script), "i=") && len(script) > 4000 {
			return // which may be many iterations
		}
		c, p := config(script)
		c.MaxMessage = 64 << 10
		conn, err := c.Connect("db:1", time.Time{})
		if err != nil {
			require.True(t, p.closed)
			return
		}
		conn.Queue(&get, Bytes([]byte("k")))
		conn.Sync()
		require.NoError(t, conn.Flush())
		_, err = conn.Result(func([][]byte) error { return nil })
		end := conn.Synced()
		if errors.Is(err, ErrLost) || errors.Is(end, ErrLost) {
			require.True(t, p.closed)
			require.False(t, conn.Alive())
		}
	})
}

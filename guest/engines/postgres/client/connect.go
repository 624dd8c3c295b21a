package client

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Conn is a connection on which somebody is logged in.
type Conn struct {
	// Pooled says that a pooler stands in between, which may give each transaction
	// another connection to the server. What belongs to a session, such as settings and
	// prepared statements, then does not last.
	Pooled bool

	// Standby says that the server takes no writes, since it follows another one.
	Standby bool

	// SyncCommit is the setting synchronous_commit at the time of the log-in.
	SyncCommit string

	link     Link
	frontend *pgproto3.Frontend
	pid      uint32
	status   byte  // of the transaction: I, T or E
	lost     error // why the connection is of no use any more
	heard    bool  // the server has answered since the last Flush

	out       []byte // what is to be sent
	firstSync int    // where the first end of a transaction in it ends, or 0
	queue     []queued
	next      int  // the number in the queue of the next result
	failed    bool // a statement of the transaction has failed
	prepared  map[*Statement]bool
	parsed    *Statement // the unnamed statement, if the server has it in this transaction
	bind      pgproto3.Bind
	numbers   []byte // parameters that are numbers
}

// Connect connects to an address and logs in, until a moment.
func (c *Config) Connect(address string, until time.Time) (conn *Conn, err error) {
	link, err := c.Dial(network(address), address, until)
	if err != nil {
		return nil, &lost{fmt.Errorf("%w: %w", ErrUnreachable, err)}
	}
	defer func() {
		if err != nil {
			_ = link.Close()
		}
	}()
	_ = link.SetDeadline(until)
	if c.TLS && network(address) == "tcp" {
		if err := startTLS(link, address); err != nil {
			return nil, err
		}
	}
	conn = &Conn{link: link, frontend: pgproto3.NewFrontend(link, nil), prepared: make(map[*Statement]bool)}
	conn.frontend.SetMaxBodyLen(c.MaxMessage)
	if err := conn.logIn(c, network(address) == "unix" || c.TLS); err != nil {
		return nil, err
	}
	return conn, conn.look()
}

// startTLS asks the server for TLS and begins it.
func startTLS(link Link, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return &lost{err}
	}
	request, _ := (&pgproto3.SSLRequest{}).Encode(nil)
	if _, err := link.Write(request); err != nil {
		return &lost{err}
	}
	var answer [1]byte
	if _, err := io.ReadFull(link, answer[:]); err != nil {
		return &lost{err}
	}
	switch answer[0] {
	case 'S':
	case 'N':
		return ErrNoTLS
	default:
		return &lost{errors.New("the server does not speak the protocol of PostgreSQL")}
	}
	if err := link.StartTLS(host); err != nil {
		return &lost{err}
	}
	return nil
}

// logIn sends the start-up message and answers what the server asks for.
func (c *Conn) logIn(config *Config, private bool) error {
	c.send(&pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersion30,
		Parameters: map[string]string{
			"user": config.User, "database": config.Database,
			"application_name": config.Application, "client_encoding": "UTF8",
		},
	})
	if err := c.Flush(); err != nil {
		return err
	}
	login := login{conn: c, config: config, private: private}
	for {
		message, err := c.receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case pgproto3.AuthenticationResponseMessage:
			if err := login.answer(m); err != nil {
				return err
			}
		case *pgproto3.BackendKeyData:
			c.pid = m.ProcessID
		case *pgproto3.ErrorResponse:
			return c.refused(m)
		case *pgproto3.ReadyForQuery:
			if !login.over {
				return c.lose(errors.New("the server is ready before it has let anybody in"))
			}
			c.status = m.TxStatus
			return nil
		case *pgproto3.NegotiateProtocolVersion:
		default:
			return c.lose(fmt.Errorf("the server answers %T to a log-in", m))
		}
	}
}

var looks = Statement{SQL: `SELECT pg_backend_pid()::int8, pg_is_in_recovery()::int::int8, current_setting('synchronous_commit')`}

// look finds out what is at the other end. A pooler does not tell clients the number of
// the process that will serve them, since it does not know it yet.
func (c *Conn) look() error {
	c.Queue(&looks)
	c.Sync()
	if err := c.Flush(); err != nil {
		return err
	}
	_, err := c.Result(func(row [][]byte) error {
		if len(row) != 3 {
			return errors.New("the server answers another query")
		}
		c.Pooled = Int(row[0]) != int64(c.pid)
		c.Standby = Int(row[1]) != 0
		c.SyncCommit = string(row[2])
		return nil
	})
	if end := c.Synced(); err == nil {
		err = end
	}
	return err
}

// Alive reports whether the connection is fit for use, as far as can be told without
// asking the server.
func (c *Conn) Alive() bool { return c.lost == nil && c.status == 'I' && c.link.Alive() }

// SetDeadline bounds everything that follows. After it, the connection is lost.
func (c *Conn) SetDeadline(until time.Time) { _ = c.link.SetDeadline(until) }

// Close takes leave of the server and closes the connection.
func (c *Conn) Close() {
	if c.lost == nil {
		goodbye, _ := (&pgproto3.Terminate{}).Encode(nil)
		_ = c.link.SetDeadline(time.Now().Add(goodbyeTime))
		_, _ = c.link.Write(goodbye)
	}
	_ = c.lose(net.ErrClosed)
}

// goodbyeTime is for a message that fits into every buffer on the way.
const goodbyeTime = 10 * time.Millisecond

// lose makes the connection unusable, and returns why it is.
func (c *Conn) lose(cause error) error {
	if c.lost == nil {
		c.lost = &lost{cause}
		_ = c.link.Close()
	}
	return c.lost
}

// refused is an error of the server. A fatal one ends the connection.
func (c *Conn) refused(m *pgproto3.ErrorResponse) error {
	severity := m.SeverityUnlocalized
	if severity == "" {
		severity = m.Severity
	}
	err := &Error{Severity: severity, Code: m.Code, Message: m.Message}
	switch {
	case !err.Fatal():
		return err
	case err.Code == codeShutdown && !c.heard && !c.Pooled:
		// Answers come in order. The server has ended the connection before it read
		// anything, which it does when it is shut down.
		return c.lose(&undone{err})
	}
	return c.lose(err)
}

const codeShutdown = "57P01"

// receive returns the next message, but for those that a server sends at any time.
func (c *Conn) receive() (pgproto3.BackendMessage, error) {
	for {
		if c.lost != nil {
			return nil, c.lost
		}
		message, err := c.frontend.Receive()
		if err != nil {
			return nil, c.lose(err)
		}
		switch message.(type) {
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus, *pgproto3.NotificationResponse:
			continue
		case *pgproto3.ErrorResponse:
		default:
			c.heard = true
		}
		return message, nil
	}
}

package client

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Statement is a statement with parameters, $1, $2 and so on. Its address is its identity:
// it is made once.
type Statement struct {
	SQL string

	// Name is that of a prepared statement, which the server keeps until the connection
	// ends. "" means that it is sent anew each time.
	Name string

	// Types are those of the parameters.
	Types []Type
}

// Type is a type of the server.
type Type uint32

// Types of parameters.
const (
	Bytea Type = 17
	Int8  Type = 20
	Text  Type = 25
)

// Value is a parameter.
type Value struct {
	bytes  []byte
	number int64
	is     Type
}

// Bytes is a value of the types Bytea and Text. It is copied at once.
func Bytes(b []byte) Value { return Value{bytes: b, is: Bytea} }

// Number is a value of the type Int8.
func Number(n int64) Value { return Value{number: n, is: Int8} }

// Int returns a column of the type int8, or 0 for anything else.
func Int(column []byte) int64 {
	if len(column) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(column))
}

// queued is a statement that was sent, or will be.
type queued struct {
	statement *Statement
	parse     bool
}

// Queue adds a statement to what is to be sent. Statements up to the next [Conn.Sync] are
// one transaction.
func (c *Conn) Queue(s *Statement, values ...Value) {
	name, parse := "", true
	switch {
	case s.Name != "" && !c.Pooled:
		name, parse = s.Name, !c.prepared[s] && !c.parses(s)
	case c.parsed == s:
		parse = false
	}
	if parse {
		types := make([]uint32, len(s.Types))
		for i, t := range s.Types {
			types[i] = uint32(t)
		}
		c.send(&pgproto3.Parse{Name: name, Query: s.SQL, ParameterOIDs: types})
	}
	if name == "" {
		c.parsed = s
	}
	c.queue = append(c.queue, queued{s, parse})
	c.numbers = c.numbers[:0]
	size := bindSize
	for i := range values {
		size += len(values[i].bytes)
		if values[i].is == Int8 {
			c.numbers = binary.BigEndian.AppendUint64(c.numbers, uint64(values[i].number))
		}
	}
	parameters, at := c.bind.Parameters[:0], 0
	for i := range values {
		b := values[i].bytes
		if values[i].is == Int8 {
			b, at = c.numbers[at:at+8], at+8
		} else if b == nil {
			b = []byte{} // nil would be NULL
		}
		parameters = append(parameters, b)
	}
	c.out = slices.Grow(c.out, size) // at once, since a value may be large
	c.bind = pgproto3.Bind{PreparedStatement: name, ParameterFormatCodes: binaryFormat, Parameters: parameters, ResultFormatCodes: binaryFormat}
	c.send(&c.bind)
	clear(parameters)
	c.send(&pgproto3.Execute{})
}

// bindSize is what a statement takes besides its values of bytes.
const bindSize = 256

var binaryFormat = []int16{1} // for all

// parses reports whether the queue has a statement that makes the server keep s.
func (c *Conn) parses(s *Statement) bool {
	for i := range c.queue {
		if c.queue[i].statement == s && c.queue[i].parse {
			return true
		}
	}
	return false
}

// Sync ends a transaction: what was queued since the last one is committed, or none of it.
func (c *Conn) Sync() {
	c.send(&pgproto3.Sync{})
	if c.firstSync == 0 {
		c.firstSync = len(c.out)
	}
	c.queue = append(c.queue, queued{})
	c.parsed = nil // the next transaction may run on another connection
}

func (c *Conn) send(m pgproto3.FrontendMessage) {
	// The only errors are of messages above a gigabyte, which no record comes near.
	if b, err := m.Encode(c.out); err == nil {
		c.out = b
	}
}

// Queued returns how many bytes wait to be sent.
func (c *Conn) Queued() int { return len(c.out) }

// mostKept is the largest buffer that is kept for what is sent next.
const mostKept = 256 << 10

// Flush sends what was queued.
func (c *Conn) Flush() error {
	if c.lost != nil {
		return c.lost
	}
	n, err := c.link.Write(c.out)
	ends := c.firstSync
	c.firstSync = 0
	if c.out = c.out[:0]; cap(c.out) > mostKept {
		c.out = nil
	}
	c.heard = false
	switch {
	case err == nil:
		return nil
	case n < ends:
		return c.lose(&undone{err}) // the end of a transaction is the last of it
	}
	return c.lose(err)
}

// Result reads the result of the next statement that was queued. row is called for each
// row, whose columns are valid until it returns; nil ignores them. It returns how many
// rows the statement has found or changed. The statement counts only when [Conn.Synced] has
// said that the transaction was committed.
func (c *Conn) Result(row func(columns [][]byte) error) (rows int64, err error) {
	of := c.queue[c.next]
	c.next++
	if c.failed {
		return 0, ErrSkipped
	}
	for {
		message, err := c.receive()
		if err != nil {
			return 0, err
		}
		switch m := message.(type) {
		case *pgproto3.ParseComplete:
			if of.parse && of.statement.Name != "" && !c.Pooled {
				c.prepared[of.statement] = true
			}
		case *pgproto3.BindComplete:
		case *pgproto3.DataRow:
			if row != nil {
				if err := row(m.Values); err != nil {
					return 0, c.lose(err)
				}
			}
		case *pgproto3.CommandComplete:
			return count(m.CommandTag), nil
		case *pgproto3.EmptyQueryResponse:
			return 0, nil
		case *pgproto3.ErrorResponse:
			c.failed = true
			return 0, c.refused(m)
		default:
			return 0, c.lose(fmt.Errorf("the server answers %T to a statement", m))
		}
	}
}

// Synced reads the end of a transaction, after the results of its statements. It returns
// nil if the transaction was committed, or if one of its results was an error already.
func (c *Conn) Synced() error {
	c.next++
	if c.next == len(c.queue) {
		c.queue, c.next = c.queue[:0], 0
	}
	var failed error
	for {
		message, err := c.receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			if failed = c.refused(m); c.lost != nil {
				return failed
			}
		case *pgproto3.ReadyForQuery:
			c.failed, c.status = false, m.TxStatus
			return failed
		default:
			return c.lose(fmt.Errorf("the server answers %T at the end of a transaction", m))
		}
	}
}

// Exec runs statements without parameters and results, one after the other, until one
// fails. They may begin and end a transaction.
func (c *Conn) Exec(sql string) error {
	c.parsed = nil
	c.send(&pgproto3.Query{String: sql})
	if err := c.Flush(); err != nil {
		return err
	}
	var failed error
	for {
		message, err := c.receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			if failed = c.refused(m); c.lost != nil {
				return failed
			}
		case *pgproto3.ReadyForQuery:
			c.status = m.TxStatus
			return failed
		case *pgproto3.CommandComplete, *pgproto3.EmptyQueryResponse, *pgproto3.RowDescription, *pgproto3.DataRow:
		default:
			return c.lose(fmt.Errorf("the server answers %T to statements", m))
		}
	}
}

// count returns the number at the end of a command's tag, such as "INSERT 0 1".
func count(tag []byte) (n int64) {
	for i, unit := len(tag)-1, int64(1); i >= 0 && tag[i] >= '0' && tag[i] <= '9'; i-- {
		n += int64(tag[i]-'0') * unit
		unit *= 10
	}
	return n
}

// Forget makes the connection send statements without a name from now on.
func (c *Conn) Forget() { c.Pooled = true }

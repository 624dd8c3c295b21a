package table

import (
	"cmp"
	"math"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

// Table is a table that is open. Its errors are those of package guest.
type Table struct {
	options Options
	pool    pool
	sql     *statements

	// What transactions begin with behind a pooler.
	syncCommit, timeoutText []byte

	lazy     bool // a commit may be answered before it is on the disk
	unlogged bool // the table is not in the log
	expired  uint64
	walks    positions

	one     op // the operation of a single call, and a list of it
	ones    [1]*op
	counted []int64 // what the statements of a transaction have found or changed
	values  arena
	room    int // for what gets find
	batch   batch
}

// Open connects, and makes or checks the table.
func Open(o Options) (*Table, error) {
	t := &Table{options: o, sql: newStatements(quoteName(o.Name))}
	t.pool.options = &t.options
	t.syncCommit = []byte(o.SyncCommit)
	t.timeoutText = strconv.AppendInt(nil, o.Timeout.Milliseconds(), 10)
	until := time.Now().Add(o.OpenTimeout)
	if err := t.openSchema(until); err != nil {
		t.Close()
		return nil, err
	}
	setting := o.SyncCommit
	if setting == "" {
		setting = t.pool.conns[0].SyncCommit
	}
	t.lazy = setting == "off" && !t.unlogged
	return t, nil
}

// Close closes the connections.
func (t *Table) Close() { t.pool.drop() }

// Idle looks after the connections between calls. It returns when it is to be called again.
func (t *Table) Idle() time.Duration { return t.pool.idle() }

// Connections returns how many there are.
func (t *Table) Connections() int { return len(t.pool.conns) }

// Expired returns how many expired records Sweep has removed.
func (t *Table) Expired() uint64 { return t.expired }

// Get returns the value under a key, in Options.Scratch.
func (t *Table) Get(key []byte, now int64) ([]byte, error) {
	t.values, t.room = t.values.emptied(), math.MaxInt
	err := t.single(op{kind: opGet, key: key, now: now})
	if err != nil {
		return nil, err
	}
	// Not before: the room may be where the key lies, which another attempt needs.
	found := t.options.Scratch(len(t.one.found))
	copy(found, t.one.found)
	return found, nil
}

// Set does what guest.Engine.Set does.
func (t *Table) Set(w guest.Write) error { return t.single(t.setOp(&w)) }

// Delete removes a record, if there is one.
func (t *Table) Delete(key []byte) error { return t.single(op{kind: opRemove, key: key}) }

// Touch does what guest.Toucher.Touch does.
func (t *Table) Touch(key []byte, expires, now int64) error {
	return t.single(touchOp(key, expires, now))
}

func (t *Table) single(o op) error {
	t.one = o
	t.ones[0] = &t.one
	t.run(t.ones[:])
	return t.one.err
}

// query runs a statement in a transaction of its own, over any connection. It must be one
// that may be run twice. The rows are valid until the next call.
func (t *Table) query(s *client.Statement, until time.Time, values ...client.Value) (rows [][][]byte, n int64, err error) {
	err = t.again(until, func(c *client.Conn) error {
		rows, t.values = rows[:0], t.values.emptied()
		c.Queue(s, values...)
		c.Sync()
		err := c.Flush()
		if err != nil {
			return err
		}
		n, err = c.Result(func(columns [][]byte) error {
			row := make([][]byte, len(columns))
			for i, column := range columns {
				if column != nil {
					row[i] = t.values.keep(column)
				}
			}
			rows = append(rows, row)
			return nil
		})
		if end := c.Synced(); err == nil {
			err = end
		}
		return err
	})
	return rows, n, err
}

// again does something over a connection, and does it again where that may help.
func (t *Table) again(until time.Time, do func(c *client.Conn) error) (err error) {
	for attempt, losses := 0, 0; attempt < mostAttempts && losses < mostLosses; attempt++ {
		if attempt > 0 && !time.Now().Before(until) {
			break
		}
		var conns []pooled
		if conns, err = t.pool.take(1, until); err == nil {
			if err = do(conns[0].Conn); err == nil {
				return nil
			}
		}
		if !again(err) {
			break
		}
		if t.recover(err, attempt) {
			losses++
		}
	}
	return answer(err)
}

// Sweep removes up to most records that have expired, the oldest first.
func (t *Table) Sweep(most int, now int64) (removed int, err error) {
	_, n, err := t.query(&t.sql.sweep, t.deadline(), client.Number(now), client.Number(int64(most)))
	t.expired += uint64(n)
	return int(n), err
}

// Save returns when every write that was answered is on the disk. Usually each is when it
// is answered. If not, a transaction that waits for the disk is committed: those before it
// lie before it in the log.
func (t *Table) Save() error {
	if !t.lazy {
		return nil
	}
	return t.again(t.deadline(), func(c *client.Conn) error {
		c.Queue(&setLocal, client.Bytes([]byte("on")), client.Bytes(t.timeoutText))
		c.Queue(&emit)
		c.Sync()
		err := c.Flush()
		if err != nil {
			return err
		}
		_, set := c.Result(nil)
		_, emitted := c.Result(nil)
		return cmp.Or(c.Synced(), set, emitted)
	})
}

func (t *Table) deadline() time.Time { return time.Now().Add(t.options.Timeout) }

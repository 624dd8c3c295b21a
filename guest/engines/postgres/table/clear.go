package table

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

const (
	// clearWait is how long emptying the table at once may wait for those who use it.
	// Everybody else waits behind it meanwhile.
	clearWait = time.Second

	// clearBatch is how many records are removed at a time.
	clearBatch = 1000
)

// Clear removes all records. It empties the table at once, which takes moments whatever
// there is and gives the space back. If the role may not do that, or somebody uses the table
// for long, as a backup does, it removes the records in batches.
func (t *Table) Clear() error {
	until := t.deadline()
	conns, err := t.pool.take(1, until)
	if err != nil {
		return answer(err)
	}
	c := conns[0].Conn
	err = c.Exec(fmt.Sprintf("BEGIN; SET LOCAL lock_timeout = %d; TRUNCATE %s; COMMIT", clearWait.Milliseconds(), quoteName(t.options.Name)))
	if err == nil {
		return nil
	}
	if errors.Is(err, client.ErrLost) {
		t.pool.drop()
	} else if err := c.Exec("ROLLBACK"); err != nil {
		t.pool.drop()
	}
	return t.clearInBatches(until)
}

func (t *Table) clearInBatches(until time.Time) error {
	var last []byte
	for removed := int64(0); ; {
		rows, _, err := t.query(&t.sql.firstKeys, until, client.Bytes(last), client.Number(clearBatch))
		if err == nil && len(rows) == 0 {
			return nil
		}
		if err == nil {
			first := bytes.Clone(rows[0][0])
			last = bytes.Clone(rows[len(rows)-1][0])
			_, n, removing := t.query(&t.sql.removeRange, until, client.Bytes(first), client.Bytes(last))
			removed, err = removed+n, removing
		}
		if err != nil {
			return guest.Fail(err, fmt.Sprintf("%v, when %d records were removed", err, removed))
		}
	}
}

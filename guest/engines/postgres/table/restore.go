package table

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

// Restore stores records in one transaction: all of them, or none.
func (t *Table) Restore(records guest.Records) error {
	ops := t.batch.ops[:0]
	for w := range records.All() {
		ops = append(ops, t.setOp(&w))
	}
	t.batch.ops = ops
	defer clear(ops)
	if len(ops) == 0 {
		return nil
	}
	slices.SortStableFunc(ops, func(a, b op) int { return bytes.Compare(a.key, b.key) })
	return t.again(t.deadline(), func(c *client.Conn) error {
		if c.Pooled {
			c.Queue(&setLocal, client.Bytes(t.syncCommit), client.Bytes(t.timeoutText))
		}
		for i := range ops {
			ops[i].queue(c, t.sql)
		}
		c.Sync()
		failed := c.Flush()
		if failed != nil {
			return once(failed)
		}
		if c.Pooled {
			_, failed = c.Result(nil)
		}
		for range ops {
			if _, err := c.Result(nil); failed == nil {
				failed = err
			}
		}
		if end := c.Synced(); failed == nil {
			failed = end
		}
		return once(failed)
	})
}

// once makes an error of a lost connection one after which nothing is tried again, if the
// records may have been stored: others may have written some of them since.
func once(err error) error {
	if errors.Is(err, client.ErrLost) && !client.Undone(err) {
		return fmt.Errorf("%w: %w", err, errOnce)
	}
	return err
}

var errOnce = errors.New("the records may have been stored")

package table

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

const (
	// mostAttempts is how often an operation is tried. A server that was started again
	// takes two: one finds that the old connection is lost.
	mostAttempts = 6

	// mostLosses is how many of these attempts may lose the connection.
	mostLosses = 3

	// opsPerConn is how many operations are worth a connection of their own.
	opsPerConn = 16

	// readWindow is how many bytes of reads are sent before their answers are read. If
	// neither side read while it writes, both would wait for ever; this much always fits
	// into what lies in between.
	readWindow = 16 << 10
)

// run does operations, of which no two have the same key.
func (t *Table) run(ops []*op) {
	until := time.Now().Add(t.options.Timeout)
	var err error
	for attempt, losses := 0, 0; attempt < mostAttempts && losses < mostLosses; attempt++ {
		if attempt > 0 {
			if ops = slices.DeleteFunc(ops, func(o *op) bool { return o.done }); len(ops) == 0 {
				return
			}
			if !time.Now().Before(until) {
				break
			}
		}
		var conns []pooled
		if conns, err = t.pool.take((len(ops)+opsPerConn-1)/opsPerConn, until); err == nil {
			err = t.attempt(conns, ops)
		} else if !again(err) {
			break
		}
		if err != nil && t.recover(err, attempt) {
			losses++
		}
	}
	for _, o := range ops {
		if o.done {
			continue
		}
		if o.unsure && err == nil {
			o.end(errUnsure)
			continue
		}
		e := answer(err)
		if o.unsure {
			e = guest.Fail(guest.ErrUnavailable, err.Error()+": the write may have been made")
		}
		o.end(e)
	}
}

// recover prepares another attempt after an error, and reports whether the connections
// were of no use.
func (t *Table) recover(err error, attempt int) (lost bool) {
	switch code := client.Code(err); {
	case errors.Is(err, client.ErrLost), code == codeReadOnly: // another server may take writes by now
		t.pool.drop()
		return true
	case code == codeNoStatement, code == codeStatement:
		t.options.Unprepared = true // there is a pooler after all
		t.pool.drop()
	default:
		// Those who got in each other's way should not meet again.
		most := uint64(time.Millisecond) << min(attempt, 5)
		time.Sleep(time.Duration(t.options.Random() % most))
	}
	return false
}

// attempt sends all operations, over several connections at the same time, and then reads
// all answers. It returns an error if some operations are not done.
func (t *Table) attempt(conns []pooled, ops []*op) (failed error) {
	if len(conns) == 1 {
		p := part{t: t, conn: conns[0].Conn, ops: ops}
		p.send()
		p.receive()
		return p.err
	}
	parts := make([]part, len(conns))
	for i := range parts {
		parts[i] = part{t: t, conn: conns[i].Conn}
	}
	for _, o := range ops {
		p := &parts[t.place(o.key)%uint64(len(parts))]
		p.ops = append(p.ops, o)
	}
	for i := range parts {
		parts[i].send()
	}
	for i := range parts {
		parts[i].receive()
		if failed == nil || errors.Is(parts[i].err, client.ErrLost) {
			failed = errors.Join(parts[i].err)
		}
	}
	return failed
}

// place spreads keys.
func (t *Table) place(key []byte) (h uint64) {
	for _, b := range key {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h ^ h>>32
}

// part is what one connection does: a transaction of writes, whose locks are gone before
// anybody waits for the answers to reads, and then the reads.
type part struct {
	t    *Table
	conn *client.Conn
	ops  []*op
	err  error // some operations are not done

	writes, reads []*op
	local         bool // each transaction begins with its settings
	sent          int  // of the reads
}

// send sends the writes, and the reads as far as there is room.
func (p *part) send() {
	if len(p.ops) == 1 {
		if p.ops[0].reads() {
			p.reads = p.ops
		} else {
			p.writes = p.ops
		}
	} else {
		p.split()
	}
	p.local = p.conn.Pooled && len(p.writes) > 0
	for i, o := range p.writes {
		if i == 0 || o.alone {
			p.begin()
		}
		o.queue(p.conn, p.t.sql)
		if i == len(p.writes)-1 || o.alone || p.writes[i+1].alone {
			p.conn.Sync()
		}
	}
	p.queueReads(p.conn.Queued())
	p.err = p.conn.Flush()
}

// split sorts the writes by key: hosts that lock records in the same order do not wait for
// each other in a circle. Those that must be alone come first.
func (p *part) split() {
	for _, o := range p.ops {
		if o.reads() {
			p.reads = append(p.reads, o)
		} else {
			p.writes = append(p.writes, o)
		}
	}
	slices.SortFunc(p.writes, func(a, b *op) int {
		switch {
		case a.alone && !b.alone:
			return -1
		case b.alone && !a.alone:
			return 1
		}
		return bytes.Compare(a.key, b.key)
	})
}

// begin queues what comes first in a transaction of writes.
func (p *part) begin() {
	if p.local {
		p.conn.Queue(&setLocal, client.Bytes(p.t.syncCommit), client.Bytes(p.t.timeoutText))
	}
}

// queueReads queues reads until there are more than fit into the window.
func (p *part) queueReads(before int) {
	from := p.sent
	for p.sent < len(p.reads) && p.conn.Queued()-before < readWindow {
		p.reads[p.sent].queue(p.conn, p.t.sql)
		p.sent++
	}
	if p.sent > from {
		p.conn.Sync()
	}
}

// receive reads all answers.
func (p *part) receive() {
	if p.err != nil {
		p.lose(p.writes, p.err)
		return
	}
	for i := 0; i < len(p.writes); {
		end := i + 1
		if !p.writes[i].alone {
			end = len(p.writes)
		}
		if !p.transaction(p.writes[i:end]) {
			p.lose(p.writes[i:], p.err)
			return
		}
		i = end
	}
	for from := 0; from < len(p.reads); {
		end := p.sent
		if !p.answers(p.reads[from:end]) {
			return
		}
		if from = end; from < len(p.reads) {
			p.queueReads(0)
			if err := p.conn.Flush(); err != nil {
				p.err = err
				return
			}
		}
	}
}

// lose says that writes were sent over a connection that was lost.
func (p *part) lose(writes []*op, err error) {
	if client.Undone(err) {
		return
	}
	for _, o := range writes {
		o.lose(err)
	}
}

// transaction reads the answers to writes that are committed together, or not at all. It
// reports whether the connection is still of use.
func (p *part) transaction(writes []*op) bool {
	var failed error
	if p.local {
		_, failed = p.conn.Result(nil)
	}
	rows := p.t.counted[:0]
	for range writes {
		n, err := p.conn.Result(nil)
		rows = append(rows, n)
		if failed == nil {
			failed = err
		}
	}
	p.t.counted = rows
	if err := p.conn.Synced(); err != nil && (failed == nil || errors.Is(err, client.ErrLost)) {
		failed = err
	}
	switch {
	case errors.Is(failed, client.ErrLost):
		p.err = failed
		return false
	case failed == nil:
		for i, o := range writes {
			o.finish(rows[i])
		}
	case len(writes) > 1:
		for _, o := range writes {
			o.alone = true
		}
		p.err = failed
	case again(failed):
		p.err = failed
	default:
		writes[0].end(answer(failed))
	}
	return true
}

// answers reads the answers to reads.
func (p *part) answers(reads []*op) bool {
	var failed error
	for _, o := range reads {
		rows, err := p.conn.Result(func(columns [][]byte) error {
			if len(columns) > 0 {
				o.found, o.crowded = p.t.values.keepUpTo(columns[0], p.t.room)
			}
			return nil
		})
		switch {
		case err == nil:
			o.finish(rows)
		case errors.Is(err, client.ErrSkipped):
		case again(err) || errors.Is(err, client.ErrLost):
			failed = err
		default:
			o.end(answer(err)) // the others are read once more
			failed = errSomeRead
		}
		if errors.Is(err, client.ErrLost) {
			p.err = err
			return false
		}
	}
	if err := p.conn.Synced(); err != nil {
		failed = err
	}
	if failed != nil && p.err == nil {
		p.err = failed
	}
	return !errors.Is(failed, client.ErrLost)
}

var errSomeRead = errors.New("one of several reads has failed")

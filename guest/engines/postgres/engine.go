package main

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
	"github.com/waddle-sessions/waddle/guest/engines/postgres/table"
	"github.com/waddle-sessions/waddle/guest/network"
)

var info = guest.Info{Name: "postgres", Version: "1.0.0", CAS: true, Remote: true, MaxValue: maxValue}

// maxValue bounds what a value takes of an instance's memory, which is several times its size.
const maxValue = 4 << 20

// engine opens a table according to the settings.
type engine struct{ *table.Table }

var (
	_ guest.Engine      = (*engine)(nil)
	_ guest.Toucher     = (*engine)(nil)
	_ guest.Batcher     = (*engine)(nil)
	_ guest.Sweeper     = (*engine)(nil)
	_ guest.Lister      = (*engine)(nil)
	_ guest.Snapshotter = (*engine)(nil)
	_ guest.Restorer    = (*engine)(nil)
	_ guest.Counter     = (*engine)(nil)
	_ guest.Idler       = (*engine)(nil)
)

// Open implements guest.Engine.
func (e *engine) Open(config *guest.Config) error {
	o, err := read(config)
	if err != nil {
		return err
	}
	o.Client.Dial = dial
	if limit := config.MemoryLimit(leastMemory); runtime.GOOS == "wasip1" {
		debug.SetMemoryLimit(limit / 4 * 3) // the rest is for what lies between
	}
	e.Table, err = table.Open(o)
	return err
}

// dial connects. Nothing else of the instance runs while it waits: there is nothing else.
func dial(over, address string, until time.Time) (client.Link, error) {
	dialer := network.Dialer{Blocking: true, Timeout: max(time.Until(until), time.Millisecond)}
	conn, err := dialer.Dial(over, address)
	if err != nil {
		return nil, err
	}
	return conn.(*network.Conn), nil
}

// Close ends the connections, for native tests. A module's end with its instance.
func (e *engine) Close() {
	if e.Table != nil {
		e.Table.Close()
	}
}

// Delete implements guest.Engine.
func (e *engine) Delete(key []byte, _ int64) error { return e.Table.Delete(key) }

// Clear implements guest.Engine.
func (e *engine) Clear(int64) error { return e.Table.Clear() }

// Save implements guest.Engine.
func (e *engine) Save(int64) error { return e.Table.Save() }

// Batch implements guest.Batcher.
func (e *engine) Batch(batch *guest.Batch) error {
	e.Table.Batch(batch)
	return nil
}

// Restore implements guest.Restorer.
func (e *engine) Restore(records guest.Records, _ int64) error { return e.Table.Restore(records) }

// Count implements guest.Counter. How many records there are would be a question to the
// server that reads them all.
func (e *engine) Count() guest.Counts {
	return guest.Counts{Records: -1, Bytes: -1, Expired: e.Table.Expired()}
}

// Idle implements guest.Idler.
func (e *engine) Idle(int64) (next int64, err error) { return e.Table.Idle().Milliseconds(), nil }

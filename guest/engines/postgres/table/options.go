package table

import (
	"time"

	"github.com/waddle-sessions/waddle/guest/engines/postgres/client"
)

// Options say where a table is and how it is used.
type Options struct {
	// Client logs in, at the first of Addresses that takes writes. An address is
	// host:port or the path of a socket.
	Client    *client.Config
	Addresses []string

	// Name is that of the table, with its schema or without.
	Name string

	// Connections is how many there are at most.
	Connections int

	// Timeout bounds every operation, with all attempts. OpenTimeout bounds Open.
	Timeout, OpenTimeout time.Duration

	// SyncCommit is the setting synchronous_commit for writes; "" leaves it to the server.
	SyncCommit string

	// Unlogged makes the table, if it has to be made, one that a crash empties.
	Unlogged bool

	// Unmanaged says that the table is not to be made or changed: somebody else does that.
	Unmanaged bool

	// Unprepared says that no statement is to be prepared, whatever the other end is.
	Unprepared bool

	// Scratch returns room for a value that is returned. Log writes a line for the operator.
	Scratch func(n int) []byte
	Log     func(level int32, line string)
	Random  func() uint64

	// Tests set these.
	migrations []migration
	blind      bool // no pooler is noticed
}

// Package archive reads and writes backups of sessions. A backup is one file that says what
// it is, and that a reader can check to the last byte.
//
// A backup is a tar file, compressed with gzip. Its entries, in this order:
//
//	backup.json        Manifest
//	records/00000001   records, one after the other
//	…
//	end.json           End
//
// A record is a CRC-32C of the rest (u32, little-endian) and the record in the form of
// session_snapshot. The sum in End is the SHA-256 of the contents of all
// entries before it. A file without end.json, or with anything after it, is not whole.
// Values are as the store had them: sealed, if they were sealed there.
package archive

import (
	"errors"
	"fmt"
	"time"
)

// ErrDamaged is returned when an archive is not whole, or not a backup at all. The error
// says where.
var ErrDamaged = errors.New("the backup is damaged")

// Form and Version are in the manifest of every backup that this package reads.
const (
	Form    = "waddle backup"
	Version = 1
)

// Names of entries.
const (
	manifestName = "backup.json"
	recordsName  = "records/%08d"
	endName      = "end.json"
)

// Bounds on what a reader takes into memory.
const (
	mostText    = 64 << 10
	entrySize   = 1 << 20 // about as much as Writer puts into an entry
	mostEntry   = 16 << 20
	mostTrailer = 1 << 20 // zeros behind the end of the tar file
)

// Manifest says what a backup is of.
type Manifest struct {
	Form    string    `json:"form"`
	Version int       `json:"version"`
	Engine  string    `json:"engine"`  // that kept the sessions
	Layout  int       `json:"layout"`  // version of the form of its directory
	Shards  int       `json:"shards"`  // of the directory; 0 for engine memory
	Program string    `json:"program"` // version of the program that wrote the backup
	Begun   time.Time `json:"begun"`

	// AsOf is when the snapshot was written that the backup is of, for engine memory:
	// what has changed since is not in it.
	AsOf *time.Time `json:"as_of,omitempty"`
}

// End tells what a backup has, and that it is whole.
type End struct {
	Records uint64    `json:"records"`
	Bytes   uint64    `json:"bytes"` // of keys and values
	Ended   time.Time `json:"ended"`

	// Lost is how many places of the directory could not be read. Sessions there are
	// missing in the backup.
	Lost int    `json:"lost,omitempty"`
	Sum  string `json:"sha256"`
}

func damaged(place, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrDamaged, place, fmt.Sprintf(format, args...))
}

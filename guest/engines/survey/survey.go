// Package survey has the types in which the bundled engines describe a directory of
// sessions to a program that reads it from outside: the records, and whatever is not as it
// should be. The packages of keyfolder and dynfile do the reading. They change nothing,
// lock nothing, and may read while another process serves the sessions.
package survey

import "time"

// Record is a record that the engine would answer with. It may have expired.
type Record struct {
	Key, Value []byte // valid until the function that got them returns
	Expires    int64  // Unix milliseconds, 0 for never
	File       string // where it lies, relative to the directory, with slashes
}

// Severity says how bad a finding is.
type Severity uint8

const (
	// Note is something to know of: all sessions are well.
	Note Severity = iota
	// Damage has cost no session, as far as is known.
	Damage
	// Loss has cost sessions.
	Loss
)

// String returns the severity in one word.
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Damage:
		return "damage"
	}
	return "loss"
}

// Remedy says what mends a finding.
type Remedy uint8

const (
	// Nothing has to be done, or can be.
	Nothing Remedy = iota
	// Engine: the engine mends it by itself, when it opens or while it works.
	Engine
	// Repair: what can still be read is written anew, and the rest is put aside.
	Repair
	// Backup: only a backup has what was lost.
	Backup
	// Hand: somebody must decide.
	Hand
)

// Finding is something that is not as it should be.
type Finding struct {
	Severity Severity
	Remedy   Remedy
	File     string // relative to the directory, with slashes
	Offset   int64  // in the file, or -1
	Sessions int    // how many sessions it has cost, or -1 if nobody can know
	Text     string // what was found
}

// Visitor gets what is found. Each function may be nil.
type Visitor struct {
	// Record gets each record once. If it returns an error, the survey ends with it.
	Record func(Record) error
	Find   func(Finding)

	// Part is called now and then with how many parts of a round are done.
	Part func(done, parts int)
}

// See hands a record on.
func (v *Visitor) See(r Record) error {
	if v.Record == nil {
		return nil
	}
	return v.Record(r)
}

// Say hands a finding on.
func (v *Visitor) Say(f Finding) {
	if v.Find != nil {
		v.Find(f)
	}
}

// Did tells how much of a round is done.
func (v *Visitor) Did(done, parts int) {
	if v.Part != nil {
		v.Part(done, parts)
	}
}

// Options say how to look.
type Options struct {
	Shard, Shards int

	// Quick leaves out what has no record: leftovers, and files of strangers.
	Quick bool

	// Pause is how long to wait before something that looks damaged is read again: a
	// process that serves the sessions may just be writing there. 0 means DefaultPause.
	Pause time.Duration
}

// DefaultPause is longer than a write takes on a busy machine.
const DefaultPause = 20 * time.Millisecond

// Wait waits for the pause.
func (o *Options) Wait() {
	if o.Pause == 0 {
		o.Pause = DefaultPause
	}
	time.Sleep(o.Pause)
}

// Shard counts the files of a shard.
type Shard struct {
	Files int64 // that were read
	Bytes int64 // in them
}

package main

import (
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
	"github.com/waddle-sessions/waddle/guest/engines/redis/topology"
)

var info = guest.Info{Name: "redis", Version: "1.0.0", CAS: true, Remote: true}

// engine keeps records in a server, over one connection to each that it needs.
type engine struct {
	settings
	prefix  []byte
	pattern string // of all keys with the prefix
	dialer  dialer
	nodes   topology.Nodes
	until   time.Time // the end of the call

	nonces nonces
	header [headerSize]byte // of the record, or the number, that is being appended

	one     [1]operation
	many    []operation
	answers answers
	pages   pages
	listed  []byte       // keys of an enumeration
	writers []*resp.Conn // over which this call has written
}

var (
	_ guest.Engine      = (*engine)(nil)
	_ guest.Toucher     = (*engine)(nil)
	_ guest.Batcher     = (*engine)(nil)
	_ guest.Lister      = (*engine)(nil)
	_ guest.Snapshotter = (*engine)(nil)
	_ guest.Restorer    = (*engine)(nil)
)

// Open implements guest.Engine. It fails if the server cannot be reached or is not fit for
// sessions: who starts a program with a wrong address should learn it then.
func (e *engine) Open(config *guest.Config) error {
	if err := e.settings.read(config); err != nil {
		return err
	}
	e.prefix = []byte(e.settings.prefix)
	e.pattern = patternOf(e.settings.prefix)
	e.dialer.settings = &e.settings
	e.nodes = e.topology()
	e.begin(e.timeout)
	return failure(e.checkServers())
}

func (e *engine) topology() topology.Nodes {
	options := topology.Options{
		Addresses: e.addresses, Prefix: e.prefix, Master: e.master,
		Dial: e.dialer.dial, DialSentinel: e.dialer.dialSentinel,
	}
	switch e.mode {
	case sentinel:
		return topology.Sentinel(options)
	case cluster:
		return topology.Cluster(options)
	}
	return topology.Standalone(options)
}

// Close ends the connections, for native tests. A module's end with its instance.
func (e *engine) Close() {
	if e.nodes != nil {
		e.nodes.Close()
	}
}

// Get implements guest.Engine.
func (e *engine) Get(key []byte, now int64) ([]byte, error) {
	op := e.single(operation{kind: reading, key: key, now: now, limit: maxRecord})
	if op.err != nil {
		return nil, op.err
	}
	value, _, err := open(op.record, now)
	return value, err
}

// Set implements guest.Engine.
func (e *engine) Set(w guest.Write) error { return e.single(e.write(&w)).err }

// Delete implements guest.Engine.
func (e *engine) Delete(key []byte, now int64) error {
	return e.single(operation{kind: removing, key: key, now: now}).err
}

// Touch implements guest.Toucher.
func (e *engine) Touch(key []byte, expires, now int64) error {
	return e.single(operation{kind: touchingOnly, key: key, expires: expires, now: now}).err
}

// single does one operation.
func (e *engine) single(op operation) *operation {
	e.one[0] = op
	e.run(e.one[:], nil)
	return &e.one[0]
}

// Restore implements guest.Restorer.
func (e *engine) Restore(records guest.Records, _ int64) error {
	e.many = e.many[:0]
	for w := range records.All() {
		e.many = append(e.many, e.write(&w))
		if len(e.many) == abi.MaxBatch {
			if err := e.restored(); err != nil {
				return err
			}
		}
	}
	return e.restored()
}

// restored does the writes that were collected.
func (e *engine) restored() error {
	e.run(e.many, nil)
	for i := range e.many {
		if err := e.many[i].err; err != nil {
			return err
		}
	}
	e.many = e.many[:0]
	return nil
}

package main

import (
	"strconv"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
)

// A cursor of an enumeration is, from the top:
//
//	1 bit   0
//	1 bit   1 if the rest is the number of kept keys, see pages
//	8 bits  which connections it began with
//	10 bits the number of the server
//	44 bits the server's own cursor
type cursor struct {
	generation uint8
	server     int
	at         uint64
}

const (
	keptBit     = 1 << 62
	serverBits  = 10
	atBits      = 44
	mostServers = 1 << serverBits
)

func (c cursor) encode() int64 {
	return int64(uint64(c.generation)<<(serverBits+atBits) | uint64(c.server)<<atBits | c.at)
}

func decode(n int64) cursor {
	return cursor{
		generation: uint8(n >> (serverBits + atBits)),
		server:     int(n>>atBits) & (mostServers - 1),
		at:         uint64(n) & (1<<atBits - 1),
	}
}

var (
	errRestarted = guest.Fail(guest.ErrUnavailable, "a connection was lost, or the cluster has changed, during the enumeration: begin again")
	errForeign   = guest.Fail(guest.ErrInvalid, "this instance never gave this cursor, or so long ago that it is forgotten")
)

// scan asks for the next keys that begin with the prefix. They are appended to keys, each
// behind its length, without the prefix. next is 0 at the end.
//
// A server's cursor means something to that process only. So an enumeration ends with
// an error if a connection is made anew: with another process, keys would be left out.
func (e *engine) scan(from int64, count int64, keys []byte) (next int64, _ []byte, err error) {
	masters, err := e.nodes.Masters()
	if err != nil {
		return 0, nil, err
	}
	c, now := decode(from), e.generation()
	switch {
	case from == 0:
		c.generation = now
	case c.generation != now:
		return 0, nil, errRestarted
	}
	if c.server >= len(masters) || len(masters) > mostServers {
		return 0, nil, errForeign
	}
	conn := masters[c.server]
	conn.Begin(6)
	conn.Text("SCAN")
	conn.Text(strconv.FormatUint(c.at, 10))
	conn.Text("MATCH")
	conn.Text(e.pattern)
	conn.Text("COUNT")
	conn.Int(count)
	r, err := conn.Read()
	if err != nil {
		e.nodes.Failed(conn)
		return 0, nil, errRestarted
	}
	if err := r.Err(); err != nil {
		return 0, nil, err
	}
	at, found, ok := scanned(&r)
	if !ok || at >= 1<<atBits {
		return 0, nil, errStrange
	}
	for i := range found {
		// The pattern is the server's to understand; the prefix decides.
		if key := found[i].Text; len(key) > len(e.prefix) && string(key[:len(e.prefix)]) == string(e.prefix) {
			keys = appendKey(keys, key[len(e.prefix):])
		}
	}
	if c.at = at; at == 0 {
		if c.server++; c.server == len(masters) {
			return 0, keys, nil
		}
	}
	return c.encode(), keys, nil
}

// scanned takes the answer to SCAN apart.
func scanned(r *resp.Reply) (at uint64, keys []resp.Reply, ok bool) {
	if r.Kind != resp.Array || len(r.Elements) != 2 || r.Elements[0].Kind != resp.Bulk || r.Elements[1].Kind != resp.Array {
		return 0, nil, false
	}
	at, err := strconv.ParseUint(string(r.Elements[0].Text), 10, 64)
	return at, r.Elements[1].Elements, err == nil
}

// generation changes when an enumeration that runs cannot go on.
func (e *engine) generation() uint8 { return uint8(e.dialer.made) }

// patternOf returns the pattern of all keys with a prefix.
func patternOf(prefix string) string {
	b := make([]byte, 0, len(prefix)+8)
	for i := range len(prefix) {
		switch prefix[i] {
		case '*', '?', '[', ']', '\\', '^', '-':
			b = append(b, '\\')
		}
		b = append(b, prefix[i])
	}
	return string(append(b, '*'))
}

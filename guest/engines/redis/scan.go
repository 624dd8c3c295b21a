package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/redis/resp"
	"github.com/waddle-sessions/waddle/guest/engines/redis/topology"
)

// scan asks for the next keys that begin with the prefix. They are appended to keys, each
// behind its length, without the prefix. next is 0 at the end.
func (e *engine) scan(place, count int64, keys []byte) (next int64, _ []byte, err error) {
	for losses := 0; ; losses++ {
		next, keys, err = e.scanOnce(place, count, keys)
		if !errors.Is(err, errScanLost) || losses == mostLosses || !time.Now().Before(e.until) {
			return next, keys, failure(err)
		}
		e.nodes.Round()
	}
}

// errScanLost wraps the error of a connection that was lost.
var errScanLost = guest.Fail(guest.ErrUnavailable, "a connection was lost during an enumeration")

func (e *engine) scanOnce(place, count int64, keys []byte) (next int64, _ []byte, err error) {
	conn, at, err := e.nodes.Scan(place)
	switch {
	case errors.Is(err, topology.ErrPlace):
		return 0, keys, errForeign
	case err != nil:
		return 0, keys, err
	}
	conn.Begin(6)
	conn.Text("SCAN")
	conn.Text(strconv.FormatUint(at, 10))
	conn.Text("MATCH")
	conn.Text(e.pattern)
	conn.Text("COUNT")
	conn.Int(count)
	r, err := conn.Read()
	if err != nil {
		e.nodes.Failed(conn)
		return 0, keys, guest.Fail(errScanLost, err.Error())
	}
	if err := r.Err(); err != nil {
		return 0, keys, err
	}
	after, found, ok := scanned(&r)
	if !ok {
		return 0, keys, errStrange
	}
	for i := range found {
		// The pattern is the server's to understand; the prefix decides.
		if key := found[i].Text; len(key) > len(e.prefix) && string(key[:len(e.prefix)]) == string(e.prefix) {
			keys = appendKey(keys, key[len(e.prefix):])
		}
	}
	next, err = e.nodes.Scanned(after)
	return next, keys, err
}

var errForeign = guest.Fail(guest.ErrInvalid, "this instance never gave this cursor, or so long ago that it is forgotten")

// scanned takes the answer to SCAN apart.
func scanned(r *resp.Reply) (at uint64, keys []resp.Reply, ok bool) {
	if r.Kind != resp.Array || len(r.Elements) != 2 || r.Elements[0].Kind != resp.Bulk || r.Elements[1].Kind != resp.Array {
		return 0, nil, false
	}
	at, err := strconv.ParseUint(string(r.Elements[0].Text), 10, 64)
	return at, r.Elements[1].Elements, err == nil
}

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

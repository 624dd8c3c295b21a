package main

import (
	"time"

	"github.com/waddle-sessions/waddle/guest"
)

// Sizes of the steps in which an enumeration goes.
const (
	keysAtOnce    = 500 // that the server is asked for
	recordsAtOnce = 100
	enoughBytes   = 40 << 10 // in a chunk
	mostPages     = 50       // in one call, since a server may have many keys that are not ours

	// mostInList is the longest value that is fetched with others. A longer one is
	// fetched alone.
	mostInList = 64 << 10
)

// Keys implements guest.Lister.
func (e *engine) Keys(chunk *guest.KeyChunk, cursor, now int64) (next int64, err error) {
	l := lister{e: e, now: now, count: keysAtOnce, limit: headerSize - 1,
		add: func(key, _ []byte, _ int64) bool { return chunk.Add(key) }}
	return l.list(cursor)
}

// Snapshot implements guest.Snapshotter.
func (e *engine) Snapshot(chunk *guest.RecordChunk, cursor, now int64) (next int64, err error) {
	l := lister{e: e, now: now, count: recordsAtOnce, limit: headerSize + mostInList, add: chunk.Add}
	return l.list(cursor)
}

// lister fills a chunk with what has not expired.
type lister struct {
	e     *engine
	now   int64
	count int64
	limit int // of what is read of each record
	add   func(key, value []byte, expires int64) bool

	added int    // bytes in the chunk
	left  []byte // keys that have no room, or whose records must be fetched alone
	err   error
}

func (l *lister) list(cursor int64) (next int64, err error) {
	e := l.e
	e.begin(e.timeout)
	for range mostPages {
		var keys []byte
		if cursor > 0 && cursor < leastPlace {
			page := e.pages.find(cursor)
			if page == nil {
				return 0, errForeign
			}
			keys, next = page.keys, page.next
		} else {
			if next, e.listed, err = e.scan(cursor, l.count, e.listed[:0]); err != nil {
				return 0, err
			}
			keys = e.listed
		}
		if err := l.fetch(keys); err != nil {
			return 0, err
		}
		if len(l.left) > 0 {
			return e.pages.keep(l.left, next), nil
		}
		if next == 0 || l.added >= enoughBytes {
			return next, nil
		}
		cursor = next
	}
	return next, nil
}

// fetch adds the records under these keys, and leaves what has no room.
func (l *lister) fetch(keys []byte) error {
	e := l.e
	e.many = e.many[:0]
	for len(keys) > 0 {
		var key []byte
		key, keys = cutKey(keys)
		e.many = append(e.many, operation{kind: reading, key: key, now: l.now, limit: l.limit})
	}
	e.run(e.many, l)
	clear(e.many) // they hold on to what was read
	if l.err != nil {
		return l.err
	}
	if l.added == 0 && len(l.left) > 0 {
		return l.alone()
	}
	return nil
}

// take implements taker.
func (l *lister) take(op *operation) {
	switch {
	case op.err != nil:
		if !isUnreadable(op.err) {
			l.err = op.err
		}
	case len(op.record) > l.limit && l.limit >= headerSize:
		l.left = appendKey(l.left, op.key)
	default:
		l.put(op)
	}
}

func (l *lister) put(op *operation) {
	value, expires, err := open(op.record, l.now)
	switch {
	case err != nil: // there is none, or it cannot be read
	case len(l.left) > 0 || !l.add(op.key, value, expires):
		l.left = appendKey(l.left, op.key)
	default:
		l.added += len(op.key) + len(value) + headerSize
	}
}

// alone adds the first record that is too long to be fetched with others and still
// there.
func (l *lister) alone() error {
	for rest := l.left; len(rest) > 0 && l.added == 0; {
		var key []byte
		key, rest = cutKey(rest)
		op := l.e.single(operation{kind: reading, key: key, now: l.now, limit: maxRecord})
		if op.err != nil && !isUnreadable(op.err) {
			return op.err
		}
		if l.left = nil; op.err == nil {
			l.put(op)
		}
		l.left = rest
	}
	return nil
}

// Clear implements guest.Engine. It removes what begins with the prefix, page by page, so
// that the server does not stand still. Each page may take as long as any other call, and
// all of them [clearTimes] that. After an error, what it has removed is gone.
func (e *engine) Clear(now int64) (err error) {
	until := time.Now().Add(clearTimes * e.timeout)
	for place := int64(0); ; {
		e.begin(e.timeout)
		if place, err = e.clearPage(place, now); err != nil || place == 0 {
			return err
		}
		if time.Now().After(until) {
			return guest.Fail(guest.ErrUnavailable, "the time is over, and some records are left: call it again")
		}
	}
}

const (
	clearAtOnce = 1000
	clearTimes  = 12
)

func (e *engine) clearPage(place, now int64) (next int64, err error) {
	if next, e.listed, err = e.scan(place, clearAtOnce, e.listed[:0]); err != nil {
		return 0, err
	}
	e.many = e.many[:0]
	for keys := e.listed; len(keys) > 0; {
		var key []byte
		key, keys = cutKey(keys)
		e.many = append(e.many, operation{kind: removing, key: key, now: now})
	}
	e.run(e.many, nil)
	for i := range e.many {
		if err := e.many[i].err; err != nil {
			return 0, err
		}
	}
	return next, nil
}

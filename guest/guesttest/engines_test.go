package guesttest_test

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
)

// shelf is the smallest possible engine: no conditions, nothing optional.
type shelf struct {
	books map[string]book
	most  int64
}

type book struct {
	value   []byte
	expires int64
}

func (s *shelf) Open(config *guest.Config) error {
	s.books = make(map[string]book)
	s.most = config.Int("max_entries", 1000, 1)
	return nil
}

func (s *shelf) Get(key []byte, now int64) ([]byte, error) {
	b, ok := s.books[string(key)]
	if !ok || guest.Expired(b.expires, now) {
		return nil, guest.ErrNotFound
	}
	return b.value, nil
}

func (s *shelf) Set(w guest.Write) error {
	if _, ok := s.books[string(w.Key)]; !ok && int64(len(s.books)) >= s.most {
		return guest.Fail(guest.ErrNoSpace, "the shelf is full: raise max_entries")
	}
	s.books[string(w.Key)] = book{bytes.Clone(w.Value), w.Expires}
	return nil
}

func (s *shelf) Delete(key []byte, _ int64) error { delete(s.books, string(key)); return nil }
func (s *shelf) Clear(int64) error                { clear(s.books); return nil }

func (s *shelf) Save(now int64) error {
	for key, b := range s.books {
		if guest.Expired(b.expires, now) {
			delete(s.books, key)
		}
	}
	return nil
}

var (
	_ guest.Toucher     = (*ledger)(nil)
	_ guest.Sweeper     = (*ledger)(nil)
	_ guest.Lister      = (*ledger)(nil)
	_ guest.Snapshotter = (*ledger)(nil)
	_ guest.Restorer    = (*ledger)(nil)
)

var ledgerInfo = guest.Info{Name: "ledger", Version: "1.0", CAS: true, MaxValue: 1 << 20}

// ledger is an engine with every optional interface. If it has a file, every
// save writes to it.
type ledger struct {
	lines  map[string]*line
	number int64  // of the last line
	sweep  int64  // the number of the line at which Sweep continues
	file   string // a directory until the ledger is opened; "" for none
	opened func(*guest.Config)

	failing error // what operations answer, if not nil

	late, aliasing, blind, lazy, touchy, endless bool // faults, one each
}

// line is a record. Its number never changes, so enumerations go by it.
type line struct {
	number  int64
	key     string
	value   []byte
	expires int64
}

// common is an engine that every shard shares.
var common = &ledger{lines: make(map[string]*line)}

func (l *ledger) Open(config *guest.Config) error {
	if l.opened != nil {
		l.opened(config)
	}
	if l == common {
		return nil
	}
	l.lines = make(map[string]*line)
	if l.file == "" {
		return nil
	}
	l.file = filepath.Join(l.file, "ledger-"+strconv.Itoa(config.Shard()))
	list, err := os.ReadFile(l.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for {
		key, value, expires, rest, ok := abi.NextRecord(list)
		if !ok {
			return nil
		}
		l.put(string(key), value, expires)
		list = rest
	}
}

func (l *ledger) put(key string, value []byte, expires int64) {
	one := l.lines[key]
	if one == nil {
		l.number++
		one = &line{number: l.number, key: key}
		l.lines[key] = one
	}
	one.value, one.expires = value, expires
}

func (l *ledger) find(key []byte, now int64) *line {
	if one := l.lines[string(key)]; one != nil && !l.expired(one, now) {
		return one
	}
	return nil
}

func (l *ledger) expired(one *line, now int64) bool {
	if l.late {
		now--
	}
	return guest.Expired(one.expires, now)
}

func (l *ledger) Get(key []byte, now int64) ([]byte, error) {
	if l.failing != nil {
		return nil, l.failing
	}
	one := l.find(key, now)
	if one == nil {
		return nil, guest.ErrNotFound
	}
	return append(guest.Scratch(len(one.value))[:0], one.value...), nil
}

func (l *ledger) Set(w guest.Write) error {
	if l.failing != nil {
		return l.failing
	}
	var old []byte
	one := l.find(w.Key, w.Now)
	if one != nil {
		old = one.value
	}
	if err := w.Check(old, one != nil); err != nil && !l.blind {
		return err
	}
	if w.Expired() {
		delete(l.lines, string(w.Key))
		return nil
	}
	if !l.aliasing {
		w.Value = bytes.Clone(w.Value)
	}
	l.put(string(w.Key), w.Value, w.Expires)
	return nil
}

func (l *ledger) Delete(key []byte, now int64) error { delete(l.lines, string(key)); return l.failing }
func (l *ledger) Clear(int64) error                  { clear(l.lines); return l.failing }

func (l *ledger) Save(now int64) error {
	if l.failing != nil {
		return l.failing
	}
	for key, one := range l.lines {
		if l.expired(one, now) {
			delete(l.lines, key)
		}
	}
	if l.file == "" || l.lazy {
		return nil
	}
	var list []byte
	for _, one := range l.from(0) {
		list = abi.AppendRecord(list, []byte(one.key), one.value, one.expires)
	}
	return os.WriteFile(l.file, list, 0o600)
}

func (l *ledger) Touch(key []byte, expires, now int64) error {
	if l.touchy {
		panic("somebody touched the ledger")
	}
	one := l.find(key, now)
	if one == nil {
		return guest.ErrNotFound
	}
	if one.expires = expires; guest.Expired(expires, now) {
		delete(l.lines, one.key)
	}
	return nil
}

func (l *ledger) Sweep(most int, now int64) (removed int, err error) {
	for _, one := range l.from(l.sweep) {
		if most--; most < 0 {
			l.sweep = one.number
			return removed, nil
		}
		if l.expired(one, now) {
			delete(l.lines, one.key)
			removed++
		}
	}
	l.sweep = 0
	return removed, nil
}

// from returns the lines from a number on, in order.
func (l *ledger) from(number int64) []*line {
	list := make([]*line, 0, len(l.lines))
	for _, one := range l.lines {
		if one.number >= number {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b *line) int { return cmp.Compare(a.number, b.number) })
	return list
}

func (l *ledger) Keys(chunk *guest.KeyChunk, cursor, now int64) (next int64, err error) {
	return l.each(cursor, now, func(one *line) bool { return chunk.Add([]byte(one.key)) })
}

func (l *ledger) Snapshot(chunk *guest.RecordChunk, cursor, now int64) (next int64, err error) {
	return l.each(cursor, now, func(one *line) bool { return chunk.Add([]byte(one.key), one.value, one.expires) })
}

func (l *ledger) each(cursor, now int64, add func(*line) bool) (next int64, err error) {
	for _, one := range l.from(cursor) {
		if !l.expired(one, now) && !add(one) {
			return one.number, nil
		}
	}
	if l.endless {
		return l.number + 1, nil
	}
	return 0, nil
}

// Restore takes all records or none: the whole list is in memory.
func (l *ledger) Restore(records guest.Records, _ int64) error {
	for w := range records.All() {
		l.put(string(w.Key), bytes.Clone(w.Value), w.Expires)
	}
	return nil
}

//go:build !wasip1

package guesttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/store"
)

// shard is one engine with what a host does around it. Its methods are called
// with mu held.
type shard struct {
	name  string
	index int
	cas   bool
	log   *testLog

	mu      sync.Mutex
	engine  guest.Engine
	harness *guest.Harness
	closed  bool
}

func (s *shard) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	err := ctx.Err()
	if err == nil && s.closed {
		err = store.ErrClosed
	}
	if err != nil {
		s.mu.Unlock()
	}
	return err
}

// get returns a value that is valid until the next call.
func (s *shard) get(key []byte, now store.Millis) ([]byte, error) {
	value, err := s.harness.Get(key, int64(now))
	if err == nil && len(value) > abi.MaxValue {
		return nil, s.broken("a value of %d bytes, and the most is %d", len(value), abi.MaxValue)
	}
	return value, err
}

func (s *shard) set(w store.Write) error {
	if w.Expect != store.Any && !s.cas {
		if err := s.compare(w); err != nil {
			return err
		}
		w.Expect = store.Any
	}
	return s.harness.Set(guest.Write{Key: w.Key, Value: w.Value, Expires: int64(w.Expires), Now: int64(w.Now), Expect: w.Expect})
}

// compare does for an engine without compare-and-set what it does not do itself.
func (s *shard) compare(w store.Write) error {
	value, err := s.get(w.Key, w.Now)
	found := err == nil
	if !found && !errors.Is(err, guest.ErrNotFound) {
		return err
	}
	return (&guest.Write{Expect: w.Expect}).Check(value, found)
}

func (s *shard) touch(key []byte, expires, now store.Millis) error {
	err := s.harness.Touch(key, int64(expires), int64(now))
	if !errors.Is(err, guest.ErrUnsupported) {
		return err
	}
	value, err := s.get(key, now)
	if err != nil {
		return err
	}
	if guest.Expired(int64(expires), int64(now)) {
		return s.harness.Delete(key, int64(now))
	}
	// The next call overwrites the value.
	value = append([]byte(nil), value...)
	return s.harness.Set(guest.Write{Key: key, Value: value, Expires: int64(expires), Now: int64(now)})
}

const (
	flushStep   = 16      // what a step of a save makes durable
	mostFlushes = 1 << 20 // of one round: it has to come to an end
)

// flush saves in steps, as a host does where the engine can.
func (s *shard) flush(now store.Millis) error {
	for range mostFlushes {
		left, err := s.harness.Flush(flushStep, int64(now))
		if errors.Is(err, guest.ErrUnsupported) {
			return nil
		}
		if left == 0 || err != nil {
			return s.answer("flush", err)
		}
	}
	return s.broken("Flush still has something left after %d calls, while nobody wrote", mostFlushes)
}

func (s *shard) keys(cursor int64, now store.Millis) (keys [][]byte, next int64, err error) {
	if keys, next, err = s.harness.Keys(cursor, int64(now)); err != nil {
		return nil, 0, s.answer("keys", err)
	}
	for _, key := range keys {
		if len(key) == 0 || len(key) > abi.MaxKey {
			return nil, 0, s.broken("a chunk with a key of %d bytes, and a key has 1 to %d", len(key), abi.MaxKey)
		}
	}
	return keys, next, s.checkCursor(next)
}

func (s *shard) snapshot(cursor int64, now store.Millis) (records []store.Record, next int64, err error) {
	list, next, err := s.harness.Snapshot(cursor, int64(now))
	if err != nil {
		return nil, 0, s.answer("snapshot", err)
	}
	for {
		key, value, expires, rest, ok := abi.NextRecord(list)
		if !ok {
			return records, next, s.checkCursor(next)
		}
		if len(key) == 0 || len(key) > abi.MaxKey || len(value) > abi.MaxValue {
			return nil, 0, s.broken("a chunk with a key of %d and a value of %d bytes, and they have 1 to %d and up to %d",
				len(key), len(value), abi.MaxKey, abi.MaxValue)
		}
		records, list = append(records, store.Record{Key: key, Value: value, Expires: store.Millis(expires)}), rest
	}
}

// restore divides a list that is too long for the engine's exchange buffer.
func (s *shard) restore(list []byte, now store.Millis) error {
	err := s.harness.Restore(list, int64(now))
	if !errors.Is(err, guest.ErrNoBuffer) {
		return err
	}
	first := 0
	for first == 0 || first < len(list)/2 {
		_, _, _, rest, ok := abi.NextRecord(list[first:])
		if !ok || first == 0 && len(rest) == 0 {
			return err // a single record
		}
		if len(rest) == 0 {
			break // the last record is more than half of it all
		}
		first = len(list) - len(rest)
	}
	if err := s.restore(list[:first], now); err != nil {
		return err
	}
	return s.restore(list[first:], now)
}

func (s *shard) checkCursor(next int64) error {
	if next < 0 {
		return s.broken("the cursor %d, and it should not be negative", next)
	}
	return nil
}

func (s *shard) close(now store.Millis) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	defer s.say()
	defer s.letGo()
	if err := s.answer("save", s.harness.Save(int64(now))); err != nil {
		return fmt.Errorf("closing without everything saved: %w", err)
	}
	return nil
}

// letGo gives an engine the chance to close its files, which the end of an
// instance does for a module's.
func (s *shard) letGo() {
	switch e := s.engine.(type) {
	case interface{ Close() }:
		e.Close()
	case interface{ Close() error }:
		_ = e.Close() // there is nobody to tell, and what counts was saved
	}
}

// answers are the errors that a host makes of an engine's.
var answers = []struct{ guest, host error }{
	{guest.ErrNotFound, store.ErrNotFound},
	{guest.ErrInvalid, store.ErrInvalid},
	{guest.ErrTooLarge, store.ErrTooLarge},
	{guest.ErrNoSpace, store.ErrNoSpace},
	{guest.ErrUnavailable, store.ErrUnavailable},
	{guest.ErrConflict, store.ErrConflict},
	{guest.ErrCorrupt, store.ErrCorrupt},
	{guest.ErrDenied, store.ErrDenied},
	{guest.ErrUnsupported, store.ErrUnsupported},
	{guest.ErrInternal, store.ErrInternal},
}

// answered is what an engine answered, in the words of a host.
type answered struct {
	text string
	kind error
}

func (a *answered) Error() string { return a.text }
func (a *answered) Unwrap() error { return a.kind }

// answer makes of a harness's error what the caller of a host gets.
func (s *shard) answer(op string, err error) error {
	for _, a := range answers {
		if !errors.Is(err, a.guest) {
			continue
		}
		if a.guest == guest.ErrNotFound || err == guest.ErrConflict {
			return a.host // the two that everyday work brings
		}
		return &answered{fmt.Sprintf("engine %s: %s in shard %d: %s", s.name, op, s.index, strings.TrimPrefix(err.Error(), "guest: ")), a.host}
	}
	return err
}

// broken is what ends an instance in a host.
func (s *shard) broken(format string, args ...any) error {
	return &answered{fmt.Sprintf("engine %s: shard %d: the guest broke the contract: %s", s.name, s.index, fmt.Sprintf(format, args...)),
		store.ErrUnavailable}
}

// say hands on what the engine has logged.
func (s *shard) say() {
	if s.log != nil {
		s.log.lines(s.index, guest.Logged())
	}
}

// testLog shows what engines log, up to a number of lines.
type testLog struct {
	write func(line string)

	mu    sync.Mutex
	shown int
}

const maxShown = 200

func (l *testLog) lines(shard int, lines []guest.Line) {
	if len(lines) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range lines {
		switch l.shown++; {
		case l.shown <= maxShown:
			l.write(fmt.Sprintf("%s, shard %d: %s", levelName(line.Level), shard, line.Text))
		case l.shown == maxShown+1:
			l.write(fmt.Sprintf("more than %d lines were logged: the rest is left out", maxShown))
		}
	}
}

func levelName(level int32) string {
	switch {
	case level < guest.LevelInfo:
		return "debug"
	case level < guest.LevelWarn:
		return "info"
	case level < guest.LevelError:
		return "warning"
	}
	return "error"
}

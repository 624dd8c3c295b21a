package session

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Flash is a queue of messages, each of which is shown once, usually by the page
// after the one that added it.
type Flash[T any] struct{ prefix string }

// flashPrefix begins the names of all messages.
const flashPrefix = reservedPrefix + "flash."

// NewFlash returns the queue with a name. It panics if the name is empty or
// longer than 200 bytes.
func NewFlash[T any](name string) Flash[T] {
	if len(name) == 0 || len(name) > 200 {
		panic(fmt.Errorf("%w: a queue's name has %d bytes: must have 1 to 200", ErrKey, len(name)))
	}
	return Flash[T]{flashPrefix + name + "."}
}

// Add puts a message into the queue. Each is a value of its own, so messages that
// several requests add at the same time are all kept. Errors are those of
// [Session.Set].
func (f Flash[T]) Add(s *Session, message T) error {
	if err := f.check(); err != nil {
		return err
	}
	var unique [6]byte
	if _, err := io.ReadFull(s.manager.settings.Rand, unique[:]); err != nil {
		return fmt.Errorf("session: no random bits for a message: %w", err)
	}
	value, err := s.encode(f.prefix, message)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = true
	s.overlay.set(fmt.Sprintf("%s%013x.%04x%s", f.prefix, s.manager.now(), s.flashes, hex.EncodeToString(unique[:])), value)
	s.flashes++
	return nil
}

// flashName is the length of a message's name after the prefix of its queue: the
// time in milliseconds, a dot, its number within the request, and random bits.
const flashName = 13 + 1 + 4 + 12

// has reports whether a value is a message of this queue, and not of one whose
// name begins with this queue's and a dot.
func (f Flash[T]) has(name string) bool {
	return len(name) == len(f.prefix)+flashName && strings.HasPrefix(name, f.prefix)
}

func (f Flash[T]) check() error {
	if f.prefix == "" {
		return fmt.Errorf("%w: a zero Flash has no name; make one with NewFlash", ErrKey)
	}
	return nil
}

// PopAll returns all messages and empties the queue. The messages of one request
// come in the order in which it added them, others in the order of the
// milliseconds. If several requests take at the same time, exactly one gets a
// message; so PopAll saves the session if there is any. Its errors are those of
// [Session.Save].
func (f Flash[T]) PopAll(s *Session) ([]T, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(s.ctx); err != nil {
		return nil, err
	}
	taken := make(map[string]stored)
	take := func(o *overlay, base Values) error {
		clear(taken)
		for name, value := range o.all(base) {
			if f.has(name) {
				taken[name] = stored{value, s.codecOf(o, name)}
			}
		}
		if len(taken) == 0 {
			return errNothing
		}
		for name := range taken {
			o.delete(name, base)
		}
		return nil
	}
	var err error
	if s.exists {
		err = s.commit(take)
	} else {
		_ = take(&s.overlay, s.record.Values)
	}
	if err != nil {
		return nil, err
	}
	messages := make([]T, 0, len(taken))
	names := make([]string, 0, len(taken))
	for name := range taken {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var message T
		if s.decode(f.prefix, taken[name], &message) {
			messages = append(messages, message)
		}
	}
	return messages, nil
}

package session

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Flash is a queue of messages, each of which is shown once: by the next page,
// as a rule, after the one that added it.
type Flash[T any] struct{ prefix string }

// NewFlash returns the queue of a name. It panics if the name is empty or
// longer than 200 bytes.
func NewFlash[T any](name string) Flash[T] {
	if len(name) == 0 || len(name) > 200 {
		panic(fmt.Errorf("%w: a queue's name of %d bytes, and it has 1 to 200", ErrKey, len(name)))
	}
	return Flash[T]{reservedPrefix + "flash." + name + "."}
}

// Add puts a message into the queue. It is a value of its own: messages that
// several requests add at the same time are all kept. Errors are those of
// [Session.Set].
func (f Flash[T]) Add(s *Session, message T) error {
	var unique [8]byte
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
	s.overlay.set(fmt.Sprintf("%s%013x.%s", f.prefix, s.manager.now(), hex.EncodeToString(unique[:])), value)
	return nil
}

// Take returns all messages, in the order of the milliseconds in which they
// were added, and empties the queue. Of several requests that take at the same
// time exactly one gets a message, so Take saves the session if there is any;
// its errors are those of [Session.Save].
func (f Flash[T]) Take(s *Session) ([]T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(s.ctx); err != nil {
		return nil, err
	}
	taken := make(map[string][]byte)
	take := func(o *overlay, base Values) error {
		clear(taken)
		for name, value := range o.all(base) {
			if strings.HasPrefix(name, f.prefix) {
				taken[name] = value
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

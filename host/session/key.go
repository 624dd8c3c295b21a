package session

import (
	"errors"
	"fmt"
)

// Key is the name of a value together with its type. Keys are made once, as
// package variables, and may be used by many goroutines.
type Key[T any] struct{ name string }

// NewKey returns the key of a name. It panics if the name is empty, longer than
// MaxKey bytes, or begins with the library's own "waddle.".
func NewKey[T any](name string) Key[T] {
	if err := checkName(name); err != nil {
		panic(err)
	}
	return Key[T]{name}
}

// Name returns the key's name.
func (k Key[T]) Name() string { return k.name }

// Get returns the value, or T's zero value if there is none. The value is the
// caller's own: changing what it refers to does not change the session. Errors
// are those of the storage.
func (k Key[T]) Get(s *Session) (T, error) {
	v, _, err := k.Lookup(s)
	return v, err
}

// Value is Get without the error: on one it returns T's zero value, and the
// response answers for it; see [Session.Err]. After an error it returns zero
// values without asking the storage. Use Get to handle the error on the spot, and
// Lookup where zero and absent differ.
func (k Key[T]) Value(s *Session) (v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return v
	}
	v, _, err := k.lookup(s)
	if err != nil {
		s.fail(err)
	}
	return v
}

// Lookup is Get that also reports whether there was a value.
func (k Key[T]) Lookup(s *Session) (v T, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return k.lookup(s)
}

// lookup is Lookup with the lock held.
func (k Key[T]) lookup(s *Session) (v T, ok bool, err error) {
	value, ok, err := s.stored(k.name)
	if !ok {
		return v, false, err
	}
	if s.plain(&value) && decodePlain(value.data, &v, s.shares(&value)) {
		return v, true, nil
	}
	return decodeAs[T](s, k.name, value)
}

// decodeAs is a function of its own because what a codec decodes into is put on the
// heap.
func decodeAs[T any](s *Session, key string, value stored) (v T, ok bool, err error) {
	if !s.decode(key, value, &v) {
		var zero T
		return zero, false, nil
	}
	return v, true, nil
}

// Set puts a value under the key; see [Session.Set].
func (k Key[T]) Set(s *Session, v T) error {
	if s.manager.plain {
		if data, ok := encodePlain(&v); ok {
			if err := checkName(k.name); err != nil {
				return err // a zero Key
			}
			s.put(k.name, data)
			return nil
		}
	}
	return s.Set(k.name, v)
}

// Put is Set without the error, which the response answers for; see
// [Session.Err]. After an error it does nothing.
func (k Key[T]) Put(s *Session, v T) {
	if s.Check(nil) {
		s.Check(s.Set(k.name, v))
	}
}

// Delete removes the value; see [Session.Delete].
func (k Key[T]) Delete(s *Session) error { return s.Delete(k.name) }

// Pop returns the value, removes it, and reports whether there was one; see
// [Session.Pop].
func (k Key[T]) Pop(s *Session) (v T, ok bool, err error) {
	ok, err = s.Pop(k.name, &v)
	if !ok {
		var zero T
		return zero, false, err
	}
	return v, true, nil
}

// Update replaces the value by the result of fn, in one step that no other
// request interrupts, and saves the session with all its changes. If there is no
// value, fn gets T's zero value. Update returns the value that was stored.
//
// fn is called again with the newer value if another request changed the session
// in between. So it should have no effects but its result, and it must not use
// the session. An error of fn is returned as it is, and nothing is stored. Other
// errors are those of [Session.Save]. After an error of the storage the result may be
// stored all the same, so that calling Update again may count twice.
func (k Key[T]) Update(s *Session, fn func(old T) (T, error)) (T, error) {
	var result, zero T
	if err := checkName(k.name); err != nil {
		return zero, err // a zero Key
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.commit(func(o *overlay, base Values) error {
		var old T
		if data, ok := o.lookup(base, k.name); ok && !s.decode(k.name, stored{data, s.codecOf(o, k.name)}, &old) {
			old = zero
		}
		v, err := fn(old)
		if err != nil {
			return err
		}
		data, err := s.encode(k.name, v)
		if err != nil {
			return err
		}
		o.set(k.name, data)
		result = v
		return nil
	})
	if err != nil {
		return zero, err
	}
	return result, nil
}

// ErrOverflow is returned when a number would leave the range of its type.
var ErrOverflow = errors.New("session: number out of range")

// Integer is any type of whole numbers.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Increment adds to a number and saves it at once, in one step like [Key.Update],
// and returns the sum. It returns ErrOverflow, and changes nothing, if the sum is
// out of T's range.
func Increment[T Integer](s *Session, k Key[T], by T) (T, error) {
	return k.Update(s, func(old T) (T, error) {
		sum := old + by
		if by >= 0 && sum < old || by < 0 && sum > old {
			return old, fmt.Errorf("%w: %d plus %d as %T", ErrOverflow, old, by, old)
		}
		return sum, nil
	})
}

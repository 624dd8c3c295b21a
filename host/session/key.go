package session

// Key is the name of a value together with its type. Keys are made once, as
// package variables, and may be used by many goroutines.
type Key[T any] struct{ name string }

// NewKey returns the key of a name. It panics if the name is empty or longer
// than MaxKey bytes.
func NewKey[T any](name string) Key[T] {
	if err := checkKey(name); err != nil {
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

// Lookup is Get that also reports whether there was a value.
func (k Key[T]) Lookup(s *Session) (v T, ok bool, err error) {
	ok, err = s.Get(k.name, &v)
	if !ok {
		var zero T
		return zero, false, err
	}
	return v, true, nil
}

// Set puts a value under the key; see [Session.Set].
func (k Key[T]) Set(s *Session, v T) error { return s.Set(k.name, v) }

// Delete removes the value; see [Session.Delete].
func (k Key[T]) Delete(s *Session) error { return s.Delete(k.name) }

// Pop returns the value, removes it, and reports whether there was one.
func (k Key[T]) Pop(s *Session) (v T, ok bool, err error) {
	ok, err = s.Pop(k.name, &v)
	if !ok {
		var zero T
		return zero, false, err
	}
	return v, true, nil
}

// Update replaces the value by what fn makes of it (of T's zero value if there
// is none), as one step that no other request comes between, and saves the
// session with all its changes. It returns the value that was stored.
//
// fn is called again with the newer value when another request changed the
// session in between, so it should have no effects but its result, and it must
// not use the session. An error of fn is returned as it is, and nothing is
// stored. Other errors are those of [Session.Save].
func (k Key[T]) Update(s *Session, fn func(old T) (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var stored, zero T
	err := s.commit(&update{key: k.name, fn: func(data []byte, ok bool) ([]byte, error) {
		var old T
		if ok && !s.decode(k.name, data, &old) {
			old = zero
		}
		v, err := fn(old)
		if err != nil {
			return nil, err
		}
		stored = v
		return s.encode(k.name, v)
	}})
	if err != nil {
		return zero, err
	}
	return stored, nil
}

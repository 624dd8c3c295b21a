package gorillastore

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"weak"

	"github.com/gorilla/sessions"
	"github.com/waddle-sessions/waddle/host/session"
)

// Values are the values of a session, as gorilla has them.
type values = map[any]any

// encode writes values as gorilla's own stores do: a type that is not one of Go's
// own must be registered with gob.
func encode(v values) ([]byte, error) {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		return nil, fmt.Errorf("%w: types of your own must be registered with gob.Register: %w", session.ErrEncode, err)
	}
	return b.Bytes(), nil
}

func decode(data []byte) (values, error) {
	v := make(values)
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: types of your own must be registered with gob.Register: %w", session.ErrDecode, err)
	}
	return v, nil
}

// merge lays the changes that lead from base to mine over theirs.
func merge(base, mine, theirs values) values {
	for key, value := range mine {
		if old, ok := base[key]; !ok || !reflect.DeepEqual(old, value) {
			theirs[key] = value
		}
	}
	for key := range base {
		if _, ok := mine[key]; !ok {
			delete(theirs, key)
		}
	}
	return theirs
}

// origin is the state of a session when it was loaded or saved last. gorilla's Session
// has no room for it.
type origin struct {
	mu       sync.Mutex
	id       string // empty for a new session
	data     []byte
	revision int64
	failed   error  // the session could not be loaded
	unread   string // id of a session that may be there and could not be read
}

// origins are those of the sessions in use. Each goes with its session.
type origins struct{ bySession sync.Map }

func (o *origins) add(s *sessions.Session) *origin {
	from, key := new(origin), weak.Make(s)
	o.bySession.Store(key, from)
	runtime.AddCleanup(s, func(key weak.Pointer[sessions.Session]) { o.bySession.Delete(key) }, key)
	return from
}

// of returns the origin of a session. One that this store did not make is new.
func (o *origins) of(s *sessions.Session) *origin {
	if from, ok := o.bySession.Load(weak.Make(s)); ok {
		return from.(*origin)
	}
	return o.add(s)
}

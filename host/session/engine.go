package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/waddle-sessions/waddle/host/store"
)

// Engine turns stored records into sessions and back. Applications replace it,
// under a name and with [RegisterEngine], to keep sessions in a form of their
// own; the default keeps [Record]s over a [store.Store].
//
// A record must come back with every exported field as it was stored: State,
// for one, tells a session from what is left of one that was ended.
//
// An engine is used by many goroutines at once. The key is a hash of the
// session's id; an engine never learns the id.
type Engine interface {
	// Load returns the record under key. now is 1 for one that is wanted
	// although it has expired, as long as it is there. It returns
	// [store.ErrNotFound] if there is none or it has expired by now, and [ErrDecode] or [store.ErrCorrupt]
	// if there is one that cannot be read. What it gets from a store it bounds
	// by [store.AtMost]: a storage may have anything, of any size.
	Load(ctx context.Context, key []byte, now store.Millis) (Record, error)

	// Store puts a record under key on the condition of
	// [store.Write.Expect], to be dropped at r.Expires. A record whose
	// Expires has passed removes what is there, on the same condition. It
	// returns [store.ErrConflict] where the condition does not hold.
	Store(ctx context.Context, key []byte, r *Record, expect int64, now store.Millis) error

	// Delete removes the record. That there is none is not an error.
	Delete(ctx context.Context, key []byte, now store.Millis) error
}

// EngineRecords is the name of the default engine.
const EngineRecords = "records"

var engines = struct {
	sync.Mutex
	open map[string]func(store.Store) (Engine, error)
}{open: map[string]func(store.Store) (Engine, error){
	EngineRecords: func(s store.Store) (Engine, error) { return newRecords(s), nil },
}}

// RegisterEngine makes an engine available as Settings.Engine. It is called
// from an init function; it panics if the name is empty or taken.
func RegisterEngine(name string, open func(store.Store) (Engine, error)) {
	engines.Lock()
	defer engines.Unlock()
	if name == "" || open == nil {
		panic("session: RegisterEngine needs a name and a function")
	}
	if _, taken := engines.open[name]; taken {
		panic(fmt.Sprintf("session: an engine named %q is registered already", name))
	}
	engines.open[name] = open
}

func openEngine(name string, s store.Store) (Engine, error) {
	engines.Lock()
	open := engines.open[name]
	names := make([]string, 0, len(engines.open))
	for n := range engines.open {
		names = append(names, n)
	}
	engines.Unlock()
	if open == nil {
		slices.Sort(names)
		return nil, fmt.Errorf("%w: no engine is named %q; there are: %s (register others with session.RegisterEngine)",
			ErrSettings, name, strings.Join(names, ", "))
	}
	e, err := open(s)
	if err != nil {
		return nil, fmt.Errorf("session: engine %q: %w", name, err)
	}
	return e, nil
}

// records is the default engine.
type records struct {
	store store.Store
	reads store.Bounded // of the store
	most  int           // bytes of a record that is read
}

func newRecords(s store.Store) records { return records{s, store.AtMost(s), maxRecord} }

func (e records) Load(ctx context.Context, key []byte, now store.Millis) (Record, error) {
	b, err := e.reads.GetAtMost(ctx, key, now, e.most)
	if errors.Is(err, store.ErrOversized) {
		err = fmt.Errorf("%w: the record is larger than this program reads, which is Settings.MaxSize, and %d bytes where that is less; "+
			"if it was written with a larger MaxSize, set that until sessions of then have ended: %v", ErrDecode, leastRead, err)
	}
	if err != nil {
		return Record{}, err
	}
	return decodeRecord(b)
}

func (e records) Store(ctx context.Context, key []byte, r *Record, expect int64, now store.Millis) error {
	return e.store.Set(ctx, store.Write{Key: key, Value: r.encode(), Expires: r.Expires, Now: now, Expect: expect})
}

func (e records) Delete(ctx context.Context, key []byte, now store.Millis) error {
	return e.store.Delete(ctx, key, now)
}

// isCorrupt reports whether a record is there and cannot be read.
func isCorrupt(err error) bool {
	return errors.Is(err, ErrDecode) || errors.Is(err, store.ErrCorrupt)
}

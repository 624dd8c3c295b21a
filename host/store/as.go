package store

import (
	"context"
	"fmt"
	"iter"
)

// Wrapper is a Store around another one. To have Unwrap is to say: what I do not
// implement may be asked of the store beneath, with the same arguments. So:
//
//   - A wrapper that must see an operation, to change, refuse or count it,
//     implements it, and passes it on by the function of this package with its
//     name, which answers ErrUnsupported if nothing beneath has it.
//   - A wrapper that changes keys, or what expires when, has Unwrap only if it
//     implements everything that takes or gives a key or a time.
//   - [Bounded] is never looked for beneath: a wrapper without it has its Get called.
//
// host/storetest's Wrapper holds a wrapper to this.
type Wrapper interface {
	Store
	Unwrap() Store
}

// As returns what of a store is a T, an optional interface or a type: the store
// itself, or else the first that is one among those that it wraps. ok is false if
// there is none. A T that is there may still answer ErrUnsupported, if what it can
// do depends on what is beneath it.
//
// Of [Bounded], which is a form of Get, the store itself alone is asked.
func As[T any](s Store) (t T, ok bool) {
	_, form := any(&t).(*Bounded)
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		w, wraps := s.(Wrapper)
		if form || !wraps {
			break
		}
		s = w.Unwrap()
	}
	return t, false
}

func unsupported(s Store, method string) error {
	return fmt.Errorf("%w: %T has no %s, and wraps no store that has", ErrUnsupported, s, method)
}

// Touch is [Toucher] of what [As] finds, and ErrUnsupported if there is none.
func Touch(ctx context.Context, s Store, key []byte, expires, now Millis) error {
	if t, ok := As[Toucher](s); ok {
		return t.Touch(ctx, key, expires, now)
	}
	return unsupported(s, "Touch")
}

// Clear is [Clearer] of what [As] finds, and ErrUnsupported if there is none.
func Clear(ctx context.Context, s Store, now Millis) error {
	if t, ok := As[Clearer](s); ok {
		return t.Clear(ctx, now)
	}
	return unsupported(s, "Clear")
}

// Save is [Saver] of what [As] finds, and ErrUnsupported if there is none: then
// every Set is as durable as it will be.
func Save(ctx context.Context, s Store, now Millis) error {
	if t, ok := As[Saver](s); ok {
		return t.Save(ctx, now)
	}
	return unsupported(s, "Save")
}

// Sweep is [Sweeper] of what [As] finds, and ErrUnsupported if there is none.
func Sweep(ctx context.Context, s Store, max int, now Millis) (removed int, err error) {
	if t, ok := As[Sweeper](s); ok {
		return t.Sweep(ctx, max, now)
	}
	return 0, unsupported(s, "Sweep")
}

// Keys is [Lister] of what [As] finds, and yields ErrUnsupported if there is none.
func Keys(ctx context.Context, s Store, now Millis) iter.Seq2[[]byte, error] {
	if t, ok := As[Lister](s); ok {
		return t.Keys(ctx, now)
	}
	return func(yield func([]byte, error) bool) { yield(nil, unsupported(s, "Keys")) }
}

// Snapshot is [Snapshotter] of what [As] finds, and yields ErrUnsupported if there
// is none.
func Snapshot(ctx context.Context, s Store, now Millis) iter.Seq2[Record, error] {
	if t, ok := As[Snapshotter](s); ok {
		return t.Snapshot(ctx, now)
	}
	return func(yield func(Record, error) bool) { yield(Record{}, unsupported(s, "Snapshot")) }
}

// Restore is [Restorer] of what [As] finds, and ErrUnsupported if there is none.
func Restore(ctx context.Context, s Store, records iter.Seq2[Record, error], now Millis) error {
	if t, ok := As[Restorer](s); ok {
		return t.Restore(ctx, records, now)
	}
	return unsupported(s, "Restore")
}

// Close is [Closer] of what [As] finds. If there is none, there is nothing to give
// back, and Close returns nil.
func Close(ctx context.Context, s Store) error {
	if t, ok := As[Closer](s); ok {
		return t.Close(ctx)
	}
	return nil
}

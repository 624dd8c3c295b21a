package store

import (
	"context"
	"fmt"
	"iter"
)

// Wrapper is a Store around another one. By its Unwrap it says that callers may ask
// the store beneath for anything it does not implement, with the same arguments.
// So:
//
//   - A wrapper that must see an operation, to change, refuse or count it,
//     implements it. It passes the operation on by this package's function of that
//     name, which returns ErrUnsupported if nothing beneath has it.
//   - A wrapper that changes keys or expiries has Unwrap only if it implements
//     every method that takes or returns a key or a time.
//   - [As] never looks for [Bounded] beneath a wrapper: it uses the Get of a wrapper
//     that lacks it.
//
// Wrapper in host/storetest tests a wrapper for this.
type Wrapper interface {
	Store
	Unwrap() Store
}

// As returns a store as a T, an optional interface or a type: the store itself, or
// else the first store beneath it that is a T. ok is false if there is none. A T
// that is found may still return ErrUnsupported, if its abilities depend on the
// store beneath it.
//
// For [Bounded], which is a form of Get, As looks only at the store itself.
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
	return fmt.Errorf("%w: %T has no %s and wraps no store that has it", ErrUnsupported, s, method)
}

// Touch calls the [Toucher] that [As] finds. It returns ErrUnsupported if there is
// none.
func Touch(ctx context.Context, s Store, key []byte, expires, now Millis) error {
	if t, ok := As[Toucher](s); ok {
		return t.Touch(ctx, key, expires, now)
	}
	return unsupported(s, "Touch")
}

// Clear calls the [Clearer] that [As] finds. It returns ErrUnsupported if there is
// none.
func Clear(ctx context.Context, s Store, now Millis) error {
	if t, ok := As[Clearer](s); ok {
		return t.Clear(ctx, now)
	}
	return unsupported(s, "Clear")
}

// Save calls the [Saver] that [As] finds. It returns ErrUnsupported if there is
// none: then every Set is already as durable as it will be.
func Save(ctx context.Context, s Store, now Millis) error {
	if t, ok := As[Saver](s); ok {
		return t.Save(ctx, now)
	}
	return unsupported(s, "Save")
}

// Sweep calls the [Sweeper] that [As] finds. It returns ErrUnsupported if there is
// none.
func Sweep(ctx context.Context, s Store, max int, now Millis) (removed int, err error) {
	if t, ok := As[Sweeper](s); ok {
		return t.Sweep(ctx, max, now)
	}
	return 0, unsupported(s, "Sweep")
}

// Keys calls the [Lister] that [As] finds. It yields ErrUnsupported if there is
// none.
func Keys(ctx context.Context, s Store, now Millis) iter.Seq2[[]byte, error] {
	if t, ok := As[Lister](s); ok {
		return t.Keys(ctx, now)
	}
	return func(yield func([]byte, error) bool) { yield(nil, unsupported(s, "Keys")) }
}

// Snapshot calls the [Snapshotter] that [As] finds. It yields ErrUnsupported if
// there is none.
func Snapshot(ctx context.Context, s Store, now Millis) iter.Seq2[Record, error] {
	if t, ok := As[Snapshotter](s); ok {
		return t.Snapshot(ctx, now)
	}
	return func(yield func(Record, error) bool) { yield(Record{}, unsupported(s, "Snapshot")) }
}

// Restore calls the [Restorer] that [As] finds. It returns ErrUnsupported if there
// is none.
func Restore(ctx context.Context, s Store, records iter.Seq2[Record, error], now Millis) error {
	if t, ok := As[Restorer](s); ok {
		return t.Restore(ctx, records, now)
	}
	return unsupported(s, "Restore")
}

// Close calls the [Closer] that [As] finds. If there is none, there is nothing to
// release, and Close returns nil.
func Close(ctx context.Context, s Store) error {
	if t, ok := As[Closer](s); ok {
		return t.Close(ctx)
	}
	return nil
}

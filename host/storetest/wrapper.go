package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/waddle-sessions/waddle/host/store"
)

// Wrapper checks what [store.Wrapper] requires of a wrapper, in subtests: nothing
// that the store beneath can do is lost, nothing that it cannot do is claimed, and
// optional operations fit the wrapper's own Get and Set. [Run], over a wrapped
// [store.Memory], checks whether it is a Store in other respects.
//
// wrap is called with several stores, and should wrap each in the same way, for
// example with the same keys: one wrapper must be able to take and read what
// another has stored and given in a snapshot.
func Wrapper(t *testing.T, wrap func(store.Store) store.Store) {
	t.Helper()
	for _, c := range wrapperChecks() {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t.Context(), wrap); err != nil {
				t.Error(err)
			}
		})
	}
}

type wrapperCheck struct {
	name string
	run  func(ctx context.Context, wrap func(store.Store) store.Store) error
}

// plain is a store without any optional interface.
type plain struct{ store.Store }

// Each of these adds one to it.
type (
	withTouch = struct {
		plain
		store.Toucher
	}
	withClear = struct {
		plain
		store.Clearer
	}
	withSave = struct {
		plain
		store.Saver
	}
	withSweep = struct {
		plain
		store.Sweeper
	}
	withKeys = struct {
		plain
		store.Lister
	}
	withSnapshot = struct {
		plain
		store.Snapshotter
	}
	withRestore = struct {
		plain
		store.Restorer
	}
	withClose = struct {
		plain
		store.Closer
	}
)

func wrapperChecks() []wrapperCheck {
	type wrapping = func(store.Store) store.Store
	var (
		key   = []byte("a key of a wrapper")
		value = value(1, "a value of a wrapper")
	)
	// put stores the record through the wrapper, to expire at Now+10.
	put := func(ctx context.Context, s store.Store) error {
		if err := s.Set(ctx, store.Write{Key: key, Value: value, Expires: Now + 10, Now: Now, Expect: store.Absent}); err != nil {
			return fmt.Errorf("Set: %w", err)
		}
		return nil
	}
	// reads requires that the record is there, or not.
	reads := func(ctx context.Context, s store.Store, now store.Millis, there bool) error {
		got, err := s.Get(ctx, key, now)
		switch {
		case there && err != nil:
			return fmt.Errorf("Get of the record: %w", err)
		case there && !bytes.Equal(got, value):
			return fmt.Errorf("Get of the record: %s", differ(got, value))
		case !there && !errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("Get of an expired record: %s, want NOT_FOUND", errorInWords(err))
		}
		return nil
	}
	is := func(what string, err, want error) error {
		if !errors.Is(err, want) {
			return fmt.Errorf("%s: %s, want %s", what, errorInWords(err), errorInWords(want))
		}
		return nil
	}
	// keeps checks one operation of the store beneath.
	keeps := func(name string, inner func(*store.Memory) store.Store, run func(ctx context.Context, s store.Store, beneath *store.Memory) error) wrapperCheck {
		return wrapperCheck{"keeps/" + name, func(ctx context.Context, wrap wrapping) error {
			m := store.NewMemory()
			s := wrap(inner(m))
			if err := put(ctx, s); err != nil {
				return err
			}
			return run(ctx, s, m)
		}}
	}
	return []wrapperCheck{
		{"is-a-store", func(ctx context.Context, wrap wrapping) error {
			s := wrap(plain{store.NewMemory()})
			if err := put(ctx, s); err != nil {
				return err
			}
			again := store.Write{Key: key, Value: value, Expires: Now + 10, Now: Now, Expect: store.Absent}
			if err := is("Set of an existing record, if absent", s.Set(ctx, again), store.ErrConflict); err != nil {
				return err
			}
			if again.Expect = 1; s.Set(ctx, again) != nil {
				return errors.New("the revision that was set differs from the one that is compared")
			}
			if err := errors.Join(reads(ctx, s, Now+9, true), reads(ctx, s, Now+10, false)); err != nil {
				return err
			}
			if err := s.Delete(ctx, key, Now); err != nil {
				return fmt.Errorf("Delete: %w", err)
			}
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_, err := s.Get(ended, key, Now)
			return errors.Join(reads(ctx, s, Now, false), is("Get with a context that has ended", err, context.Canceled))
		}},
		keeps("Touch", func(m *store.Memory) store.Store { return withTouch{plain{m}, m} },
			func(ctx context.Context, s store.Store, _ *store.Memory) error {
				if err := store.Touch(ctx, s, key, Now+20, Now); err != nil {
					return fmt.Errorf("Touch: %w", err)
				}
				return errors.Join(reads(ctx, s, Now+19, true), reads(ctx, s, Now+20, false))
			}),
		keeps("Clear", func(m *store.Memory) store.Store { return withClear{plain{m}, m} },
			func(ctx context.Context, s store.Store, _ *store.Memory) error {
				if err := store.Clear(ctx, s, Now); err != nil {
					return fmt.Errorf("Clear: %w", err)
				}
				return reads(ctx, s, Now, false)
			}),
		keeps("Save", func(m *store.Memory) store.Store { return withSave{plain{m}, m} },
			func(ctx context.Context, s store.Store, beneath *store.Memory) error {
				if err := store.Save(ctx, s, Now+10); err != nil {
					return fmt.Errorf("Save: %w", err)
				}
				if n := beneath.Len(); n != 0 {
					return fmt.Errorf("Save did not reach the store beneath, which still has %d expired records", n)
				}
				return nil
			}),
		keeps("Sweep", func(m *store.Memory) store.Store { return withSweep{plain{m}, m} },
			func(ctx context.Context, s store.Store, beneath *store.Memory) error {
				n, err := store.Sweep(ctx, s, 1<<20, Now+10)
				if left := beneath.Len(); err != nil || n != 1 || left != 0 {
					return fmt.Errorf("Sweep of one expired record: %d removed, %d left, %s, want one removed", n, left, errorInWords(err))
				}
				return nil
			}),
		keeps("Keys", func(m *store.Memory) store.Store { return withKeys{plain{m}, m} },
			func(ctx context.Context, s store.Store, _ *store.Memory) error {
				n := 0
				for got, err := range store.Keys(ctx, s, Now) {
					if n++; err != nil || !bytes.Equal(got, key) {
						return fmt.Errorf("Keys: %q, %s, want the key that was set, %q", got, errorInWords(err), key)
					}
				}
				if n != 1 {
					return fmt.Errorf("Keys: %d, want only the one that was set", n)
				}
				return nil
			}),
		{"keeps/Snapshot-and-Restore", func(ctx context.Context, wrap wrapping) error {
			from, to := store.NewMemory(), store.NewMemory()
			s, other := wrap(withSnapshot{plain{from}, from}), wrap(withRestore{plain{to}, to})
			if err := put(ctx, s); err != nil {
				return err
			}
			if err := store.Restore(ctx, other, store.Snapshot(ctx, s, Now), Now); err != nil {
				return fmt.Errorf("Restore of a Snapshot: %w", err)
			}
			return errors.Join(reads(ctx, other, Now+9, true), reads(ctx, other, Now+10, false))
		}},
		keeps("Close", func(m *store.Memory) store.Store { return withClose{plain{m}, m} },
			func(ctx context.Context, s store.Store, beneath *store.Memory) error {
				if err := store.Close(ctx, s); err != nil {
					return fmt.Errorf("Close: %w", err)
				}
				_, err := beneath.Get(ctx, key, Now)
				return is("Get of the store beneath after Close", err, store.ErrClosed)
			}),
		{"keeps/GetInto", func(ctx context.Context, wrap wrapping) error {
			counted := &countedGets{Memory: store.NewMemory()}
			s := wrap(counted)
			if err := put(ctx, s); err != nil {
				return err
			}
			if _, err := store.AtMost(s).GetInto(ctx, key, Now, nil, 1<<20); err != nil {
				return fmt.Errorf("GetInto: %w", err)
			}
			if counted.gets != 0 {
				return errors.New("GetInto called Get of the store beneath, so that a large value is copied before it is refused: " +
					"implement store.Bounded and pass it on by store.AtMost")
			}
			return nil
		}},
		{"GetInto-is-Get", func(ctx context.Context, wrap wrapping) error {
			for _, inner := range []store.Store{store.NewMemory(), plain{store.NewMemory()}} {
				s := wrap(inner)
				if err := put(ctx, s); err != nil {
					return err
				}
				bounded := store.AtMost(s)
				got, err := bounded.GetInto(ctx, key, Now, nil, len(value))
				if err != nil || !bytes.Equal(got, value) {
					return fmt.Errorf("GetInto of a value of that size: %q, %s, want what Get returns, %q", got, errorInWords(err), value)
				}
				for _, room := range []int{1, len(value) + 100} {
					into := make([]byte, room)
					got, err := bounded.GetInto(ctx, key, Now, into, len(value))
					if err != nil || !bytes.Equal(got, value) {
						return fmt.Errorf("GetInto memory of %d bytes: %q, %s, want what Get returns, %q", room, got, errorInWords(err), value)
					}
					clear(got)
					clear(into)
				}
				if err := reads(ctx, s, Now, true); err != nil {
					return fmt.Errorf("after the caller of GetInto used its memory again: %w", err)
				}
				_, large := bounded.GetInto(ctx, key, Now, nil, len(value)-1)
				_, absent := bounded.GetInto(ctx, key, Now+10, nil, len(value))
				if err := errors.Join(is("GetInto of a larger value", large, store.ErrOversized), is("GetInto of an expired record", absent, store.ErrNotFound)); err != nil {
					return err
				}
			}
			return nil
		}},
		{"claims-nothing", func(ctx context.Context, wrap wrapping) error {
			s := wrap(plain{store.NewMemory()})
			if err := put(ctx, s); err != nil {
				return err
			}
			_, sweep := store.Sweep(ctx, s, 10, Now)
			return errors.Join(
				is("Touch of a store without it", store.Touch(ctx, s, key, Now+20, Now), store.ErrUnsupported),
				is("Clear of a store without it", store.Clear(ctx, s, Now), store.ErrUnsupported),
				is("Save of a store without it", store.Save(ctx, s, Now), store.ErrUnsupported),
				is("Sweep of a store without it", sweep, store.ErrUnsupported),
				is("Keys of a store without it", first(store.Keys(ctx, s, Now)), store.ErrUnsupported),
				is("Snapshot of a store without it", first(store.Snapshot(ctx, s, Now)), store.ErrUnsupported),
				is("Restore of a store without it", store.Restore(ctx, s, records(), Now), store.ErrUnsupported),
				closed(store.Close(ctx, s)),
				reads(ctx, s, Now, true))
		}},
	}
}

func closed(err error) error {
	if err != nil {
		return fmt.Errorf("Close of a store without it: %w, want nil", err)
	}
	return nil
}

// countedGets counts the calls of Get.
type countedGets struct {
	*store.Memory
	gets int
}

// Get implements store.Store.
func (b *countedGets) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	b.gets++
	return b.Memory.Get(ctx, key, now)
}

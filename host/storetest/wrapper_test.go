package storetest

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// seeThrough is the simplest possible wrapper.
type seeThrough struct{ store.Store }

func (w seeThrough) Unwrap() store.Store { return w.Store }

// GetInto implements store.Bounded.
func (w seeThrough) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	return store.AtMost(w.Store).GetInto(ctx, key, now, into, most)
}

func TestWrapper(t *testing.T) {
	Wrapper(t, func(s store.Store) store.Store { return s })
	Wrapper(t, func(s store.Store) store.Store { return seeThrough{seeThrough{s}} })
	Wrapper(t, func(s store.Store) store.Store { return reversed{seeThrough{s}} })
}

// reversed is a wrapper that changes values, in every way of reading and writing
// one.
type reversed struct{ seeThrough }

func turned(b []byte) []byte {
	out := append([]byte(nil), b...)
	for i := range out[8:] {
		out[8+i] = b[len(b)-1-i]
	}
	return out
}

func (w reversed) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return w.GetInto(ctx, key, now, nil, 1<<30)
}

func (w reversed) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	b, err := w.seeThrough.GetInto(ctx, key, now, into, most)
	if err != nil {
		return nil, err
	}
	return turned(b), nil
}

func (w reversed) Set(ctx context.Context, wr store.Write) error {
	wr.Value = turned(wr.Value)
	return w.Store.Set(ctx, wr)
}

// Each of the wrappers below has one fault.
type (
	loses     struct{ store.Store }  // has no Unwrap
	unbounded struct{ seeThrough }   // changes Get, but has the GetInto of the store beneath
	prefixed  struct{ seeThrough }   // changes keys and has Unwrap
	claims    struct{ seeThrough }   // claims what is not there
	keepsOpen struct{ seeThrough }   // does not pass on what it implements
	panics    struct{ store.Lister } // assumes that the store it was given has one
	keepsInto struct {               // returns its caller's memory as the value of others, too
		seeThrough
		kept *[]byte
	}
	shortens  struct{ seeThrough }    // has a GetInto that differs from its Get
	unrevised struct{ store.Wrapper } // loses Expect
)

func (w unbounded) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return reversed(w).Get(ctx, key, now)
}

func (w unbounded) Set(ctx context.Context, wr store.Write) error {
	return reversed(w).Set(ctx, wr)
}

func prefix(key []byte) []byte { return append([]byte("prefix "), key...) }

func (w prefixed) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return w.Store.Get(ctx, prefix(key), now)
}

func (w prefixed) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	return w.seeThrough.GetInto(ctx, prefix(key), now, into, most)
}

func (w prefixed) Set(ctx context.Context, wr store.Write) error {
	wr.Key = prefix(wr.Key)
	return w.Store.Set(ctx, wr)
}

func (w prefixed) Delete(ctx context.Context, key []byte, now store.Millis) error {
	return w.Store.Delete(ctx, prefix(key), now)
}

func (claims) Save(context.Context, store.Millis) error { return nil }

func (keepsOpen) Close(context.Context) error { return nil }

func (w panics) wrap(s store.Store) store.Store {
	return struct {
		seeThrough
		store.Lister
	}{seeThrough{s}, w}
}

func (panics) Keys(context.Context, store.Millis) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { yield(nil, errors.New("no keys")) }
}

func (w keepsInto) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	if *w.kept != nil {
		return *w.kept, nil
	}
	return w.seeThrough.Get(ctx, key, now)
}

func (w keepsInto) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	b, err := w.seeThrough.GetInto(ctx, key, now, into, most)
	if into != nil {
		*w.kept = b
	}
	return b, err
}

func (w shortens) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	b, err := w.seeThrough.GetInto(ctx, key, now, into, most)
	return b[:len(b)/2], err
}

func (w unrevised) Set(ctx context.Context, wr store.Write) error {
	wr.Expect = store.Any
	return w.Wrapper.Set(ctx, wr)
}

// TestWrapperFinds: Wrapper reports what is wrong with each, and nothing else.
func TestWrapperFinds(t *testing.T) {
	for name, c := range map[string]struct {
		wrap  func(store.Store) store.Store
		fails []string
	}{
		"loses": {func(s store.Store) store.Store { return loses{s} },
			[]string{"keeps/Touch", "keeps/Clear", "keeps/Save", "keeps/Sweep", "keeps/Keys", "keeps/Snapshot-and-Restore", "keeps/Close", "keeps/GetInto"}},
		"unbounded":  {func(s store.Store) store.Store { return unbounded{seeThrough{s}} }, []string{"GetInto-is-Get"}},
		"prefixed":   {func(s store.Store) store.Store { return prefixed{seeThrough{s}} }, []string{"keeps/Touch", "keeps/Keys"}},
		"claims":     {func(s store.Store) store.Store { return claims{seeThrough{s}} }, []string{"keeps/Save", "claims-nothing"}},
		"keeps open": {func(s store.Store) store.Store { return keepsOpen{seeThrough{s}} }, []string{"keeps/Close"}},
		"keys":       {func(s store.Store) store.Store { return panics{}.wrap(s) }, []string{"keeps/Keys", "claims-nothing"}},
		"keeps into": {func(s store.Store) store.Store { return keepsInto{seeThrough{s}, new([]byte)} }, []string{"GetInto-is-Get"}},
		"shortens":   {func(s store.Store) store.Store { return shortens{seeThrough{s}} }, []string{"GetInto-is-Get"}},
		"unrevised":  {func(s store.Store) store.Store { return unrevised{seeThrough{s}} }, []string{"is-a-store", "keeps/GetInto"}},
		"hidden": {func(s store.Store) store.Store { return struct{ store.Wrapper }{seeThrough{s}} },
			[]string{"keeps/GetInto"}},
	} {
		var failed []string
		for _, check := range wrapperChecks() {
			if check.run(t.Context(), c.wrap) != nil {
				failed = append(failed, check.name)
			}
		}
		require.Equal(t, c.fails, failed, name)
	}
}

// TestStoreOfThreeMethods: such a store passes the suite. What it lacks is left
// out, and everything it has is checked.
func TestStoreOfThreeMethods(t *testing.T) {
	report := Check(t.Context(), func(context.Context, Setup) (store.Store, error) { return plain{store.NewMemory()}, nil },
		Options{Soak: 5000, Sequences: 20, Dir: t.TempDir()})
	passed, names := 0, map[string]Status{}
	for _, r := range report.Results {
		require.NotEqual(t, Fail, r.Status, "%s: %v", r.Name, r.Failure)
		names[r.Name] = r.Status
		if r.Status == Pass {
			passed++
		}
	}
	for _, name := range []string{"random/sequences", "soak/mixed", "concurrent/every-increment-counts", "expiry/exact-millisecond"} {
		require.Equal(t, Pass, names[name], name)
	}
	require.Greater(t, passed, 50)
}

// TestWrappedStore: a wrapped store passes everything that the store itself does.
func TestWrappedStore(t *testing.T) {
	counts := func(wrap func(store.Store) store.Store) map[Status]int {
		n := map[Status]int{}
		for _, r := range Check(t.Context(), func(context.Context, Setup) (store.Store, error) { return wrap(store.NewMemory()), nil },
			Options{Soak: 2000, Sequences: 5, Dir: t.TempDir()}).Results {
			n[r.Status]++
		}
		return n
	}
	bare := counts(func(s store.Store) store.Store { return s })
	require.Equal(t, bare, counts(func(s store.Store) store.Store { return seeThrough{s} }))
	require.Zero(t, bare[Fail])
}

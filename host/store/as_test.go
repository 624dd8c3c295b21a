package store_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// plain is a store without any optional interface.
type plain struct{ store.Store }

// wrapper is a store around another one that adds nothing.
type wrapper struct{ store.Store }

func (w wrapper) Unwrap() store.Store { return w.Store }

// touching is a wrapper that sees one operation.
type touching struct {
	wrapper
	touched *int
}

func (w touching) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	*w.touched++
	return store.Touch(ctx, w.Store, key, expires, now)
}

// doubled is a wrapper that changes what Get returns, and forgets GetInto.
type doubled struct{ wrapper }

func (w doubled) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	value, err := w.Store.Get(ctx, key, now)
	return append(value, value...), err
}

// TestAs finds optional interfaces behind wrappers, the outermost first.
func TestAs(t *testing.T) {
	memory, touched := store.NewMemory(), 0
	for _, s := range []store.Store{memory, wrapper{memory}, wrapper{touching{wrapper{wrapper{memory}}, &touched}}} {
		sweeper, ok := store.As[store.Sweeper](s)
		require.True(t, ok)
		require.Same(t, memory, sweeper)
		own, ok := store.As[*store.Memory](s)
		require.True(t, ok, "a type as well")
		require.Same(t, memory, own)
		itself, ok := store.As[store.Store](s)
		require.True(t, ok)
		require.Equal(t, s, itself)
	}
	put(t, memory, "k", "body", now+10)
	require.NoError(t, store.Touch(context.Background(), wrapper{touching{wrapper{memory}, &touched}}, []byte("k"), now+20, now))
	require.Equal(t, 1, touched, "the wrapper sees what it implements")
	require.ErrorIs(t, store.Touch(context.Background(), touching{wrapper{plain{memory}}, &touched}, []byte("k"), 0, now), store.ErrUnsupported,
		"and answers like the store beneath")

	for _, s := range []store.Store{nil, plain{memory}, wrapper{plain{memory}}, wrapper{nil}} {
		_, ok := store.As[store.Sweeper](s)
		require.False(t, ok)
		_, ok = store.As[*store.Memory](s)
		require.False(t, ok)
	}
}

// TestGetIntoIsNotFoundBeneath: GetInto does not bypass a wrapper that changes
// Get.
func TestGetIntoIsNotFoundBeneath(t *testing.T) {
	ctx, memory := context.Background(), store.NewMemory()
	put(t, memory, "k", "body", 0)
	_, ok := store.As[store.Bounded](wrapper{memory})
	require.False(t, ok)
	_, ok = store.As[store.Bounded](memory)
	require.True(t, ok)
	s := doubled{wrapper{memory}}
	want, err := s.Get(ctx, []byte("k"), now)
	require.NoError(t, err)
	require.Len(t, want, 24)
	got, err := store.AtMost(s).GetInto(ctx, []byte("k"), now, nil, 24)
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = store.AtMost(s).GetInto(ctx, []byte("k"), now, nil, 23)
	require.ErrorIs(t, err, store.ErrOversized)
}

// TestAskedInOneLine: each function does what the method does, and says when there
// is none.
func TestAskedInOneLine(t *testing.T) {
	ctx := context.Background()
	first := func(list iter.Seq2[[]byte, error]) error {
		for _, err := range list {
			return err
		}
		return nil
	}
	var moved []store.Record
	asked := map[string]func(s store.Store) error{
		"Touch": func(s store.Store) error { return store.Touch(ctx, s, []byte("k"), now+20, now) },
		"Save":  func(s store.Store) error { return store.Save(ctx, s, now) },
		"Sweep": func(s store.Store) error { _, err := store.Sweep(ctx, s, 10, now); return err },
		"Keys":  func(s store.Store) error { return first(store.Keys(ctx, s, now)) },
		"Snapshot": func(s store.Store) (err error) {
			for r, e := range store.Snapshot(ctx, s, now) {
				moved, err = append(moved, r), e
			}
			return err
		},
		"Restore": func(s store.Store) error {
			return store.Restore(ctx, s, func(yield func(store.Record, error) bool) { yield(moved[0], nil) }, now)
		},
		"Clear": func(s store.Store) error { return store.Clear(ctx, s, now) },
	}
	for name, ask := range asked {
		memory := store.NewMemory()
		put(t, memory, "k", "body", now+10)
		moved = []store.Record{{Key: []byte("other"), Value: value(1, "x")}}
		require.NoError(t, ask(wrapper{memory}), name)
		err := ask(wrapper{plain{memory}})
		require.ErrorIs(t, err, store.ErrUnsupported, name)
		require.ErrorContains(t, err, "store_test.wrapper has no "+name+" and")
	}
	memory := store.NewMemory()
	require.NoError(t, store.Close(ctx, plain{memory}), "nothing to release")
	require.NoError(t, store.Save(ctx, memory, now))
	require.NoError(t, store.Close(ctx, wrapper{memory}))
	require.ErrorIs(t, store.Save(ctx, memory, now), store.ErrClosed)
}

// TestMillis converts times and spans, there and back.
func TestMillis(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 999_999, time.UTC)
	require.Equal(t, store.Millis(now), store.At(at), "cut off below a millisecond")
	require.True(t, store.Millis(now).Time().Equal(at.Truncate(time.Millisecond)))
	require.Equal(t, store.Millis(-1), store.At(time.UnixMilli(-1)))
	require.Equal(t, store.Millis(90_000), store.Span(90*time.Second+time.Microsecond))
	require.Equal(t, 90*time.Second, store.Millis(90_000).Duration())
	require.Positive(t, store.Millis(1<<62).Duration(), "no overflow")
	require.Negative(t, store.Millis(-1<<62).Duration())
}

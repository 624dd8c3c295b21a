package guest_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
)

// careless uses Scratch while it still needs the key, which lies in the same
// place in a module.
type careless struct{ plain }

func (c *careless) Get(key []byte, _ int64) ([]byte, error) {
	out := guest.Scratch(len(key) + 1)
	out[0] = '='
	copy(out[1:], key)
	return out, nil
}

func TestScratchOfAHarnessIsItsExchangeBuffer(t *testing.T) {
	h := opened(t, new(careless), info)
	got, err := h.Get([]byte("abc"), 1)
	require.NoError(t, err)
	require.Equal(t, "==bc", string(got), "as a module would return it: the key was overwritten")
	outside := guest.Scratch(4)
	copy(outside, "....")
	require.Equal(t, "==bc", string(got), "nobody else is served any of it")
}

// complaining answers each key with a message of its own.
type complaining struct{ plain }

func (c *complaining) Get(key []byte, _ int64) ([]byte, error) {
	out := append(guest.Scratch(100)[:0], bytes.Clone(key)...)
	return nil, guest.Fail(guest.ErrDenied, "no "+string(out))
}

func TestHarnessesSideBySide(t *testing.T) {
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		h := opened(t, new(complaining), info)
		wait.Go(func() {
			for n := range 200 {
				_, err := h.Get(fmt.Append(nil, i, "/", n), 1)
				if want := fmt.Sprint("guest: DENIED: no ", i, "/", n); err == nil || err.Error() != want {
					errs[i] = fmt.Errorf("found %v, expected %s", err, want)
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// forgetful answers that a record is not there, with a message that nobody
// sees.
type forgetful struct{ plain }

func (f *forgetful) Delete([]byte, int64) error {
	return guest.Fail(guest.ErrNotFound, "there is none")
}

func (f *forgetful) Save(int64) error { return guest.ErrUnavailable }

func TestAMessageBelongsToItsCall(t *testing.T) {
	h := opened(t, new(forgetful), info)
	require.NoError(t, h.Delete([]byte("k"), 1))
	require.EqualError(t, h.Save(1), "guest: UNAVAILABLE")
}

// exploding panics, which must not stop others from being called.
type exploding struct{ plain }

func (e *exploding) Clear(int64) error { panic("boom") }

func TestAPanicGoesThroughAHarness(t *testing.T) {
	h, other := opened(t, new(exploding), info), opened(t, new(plain), info)
	require.PanicsWithValue(t, "boom", func() { _ = h.Clear(1) })
	require.NoError(t, other.Clear(1))
	require.NoError(t, h.Save(1))
}

func TestLoggedIsBounded(t *testing.T) {
	guest.Logged()
	for range 10_500 {
		guest.Log(guest.LevelInfo, "again")
	}
	require.Len(t, guest.Logged(), 10_000)
}

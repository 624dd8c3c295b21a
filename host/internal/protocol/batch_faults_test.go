package protocol

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// A failure ends the instance once. Every caller gets an error that names its own operation,
// and the log has one.
func TestFailureOfACallForSeveral(t *testing.T) {
	long := abi.AppendBatchResult(nil, 0, make([]byte, abi.MaxValue+1))
	cut := func(n int) func([]byte, error) ([]byte, error) {
		return func(results []byte, _ error) ([]byte, error) { return results[:len(results)-n], nil }
	}
	for _, c := range []struct {
		name string
		kind error
		text string
		make func(results []byte, err error) ([]byte, error)
	}{
		{"trap", ErrTrap, "boom", func([]byte, error) ([]byte, error) { return nil, &Fault{Kind: ErrTrap, Message: "boom"} }},
		{"nothing", ErrProtocol, "0 results: must be 3", func([]byte, error) ([]byte, error) { return nil, nil }},
		{"too few", ErrProtocol, "2 results: must be 3", cut(8)},
		{"cut off", ErrProtocol, "ends in 7 bytes that are not a result", cut(1)},
		{"too many", ErrProtocol, "8 bytes follow the last of 3", func(results []byte, _ error) ([]byte, error) {
			return abi.AppendBatchResult(results, 0, nil), nil
		}},
		{"a length beyond the end", ErrProtocol, "that are not a result", func(results []byte, _ error) ([]byte, error) {
			results[4] = 200
			return results, nil
		}},
		{"a code above 0", ErrProtocol, "code 5: must not be above 0", func(results []byte, _ error) ([]byte, error) {
			binary.LittleEndian.PutUint32(results, 5)
			return results, nil
		}},
		{"a value for a set", ErrProtocol, "result 1 has 1 bytes", func([]byte, error) ([]byte, error) {
			return abi.AppendBatchResult(abi.AppendBatchResult(abi.AppendBatchResult(nil, 0, nil), 0, []byte("v")), 0, nil), nil
		}},
		{"a value too large", ErrProtocol, "must be at most", func([]byte, error) ([]byte, error) { return long, nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBatching(newFake(byKey...))
			b.answers = c.make
			now := time.Unix(1000, 0)
			st := b.open(t, Config{Now: func() time.Time { return now }})
			release := hold(t, b.fake, st)
			var errs [3]error
			wait := together(t, st, func() { _, errs[0] = st.Get(context.Background(), []byte("a"), 1) },
				setting(st, "b", 1, 0, &errs[1]), func() { errs[2] = st.Delete(context.Background(), []byte("c"), 1) })
			release()
			wait()
			for n, op := range []string{"get", "set", "delete"} {
				require.ErrorIs(t, errs[n], c.kind)
				require.ErrorContains(t, errs[n], op+" in shard 0")
				require.ErrorContains(t, errs[n], c.text)
			}
			require.Equal(t, 1, b.count("close"))
			stats := st.Stats()[0]
			require.Equal(t, 1, stats.Failures)
			for _, op := range []string{"get", "set", "delete"} {
				require.EqualValues(t, 1, stats.Ops[op].Calls, op)
				require.EqualValues(t, 1, stats.Ops[op].Errors, op)
			}
			_, err := st.Get(t.Context(), []byte("a"), 1)
			require.ErrorIs(t, err, ErrBackoff)
			now = now.Add(time.Minute)
			_, err = st.Get(t.Context(), []byte("a"), 1)
			require.ErrorIs(t, err, store.ErrNotFound)
		})
	}
}

// If the instance fails while the host makes one by one what was one call, the others get what
// callers get then.
func TestFailureInBetween(t *testing.T) {
	b := newBatching(newFake(byKey...))
	st := b.open(t, Config{})
	b.failing("batch", &Answer{Code: abi.Internal})
	b.failing("set", &Fault{Kind: ErrTrap, Message: "boom"})
	release := hold(t, b.fake, st)
	var errs [3]error
	wait := together(t, st, setting(st, "a", 1, 0, &errs[0]), setting(st, "b", 1, 0, &errs[1]), setting(st, "c", 1, 0, &errs[2]))
	release()
	wait()
	require.ErrorIs(t, errs[0], ErrTrap)
	require.ErrorIs(t, errs[1], ErrBackoff)
	require.ErrorIs(t, errs[2], ErrBackoff)
	require.Equal(t, 1, b.count("close"))
}

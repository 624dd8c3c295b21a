package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestWritesWaitForReplicas: with wait_replicas, a write succeeds when the replicas have
// what was written over this engine's connection, and only then.
func TestWritesWaitForReplicas(t *testing.T) {
	for _, program := range backend.RedisPrograms {
		t.Run(program, func(t *testing.T) {
			master := backend.Redis(t, backend.RedisOptions{Program: program})
			replica := backend.Redis(t, backend.RedisOptions{Program: program, ReplicaOf: master})
			h, e := start(t, master.Addr(), "wait_replicas", "1", "wait_ms", "100")
			write := func() error { return h.Set(set("key", "text", 1, abi.ExpectAny)) }
			// A machine that is busy needs longer than wait_ms now and then.
			written := func() {
				t.Helper()
				require.Eventually(t, func() bool { return write() == nil }, 20*time.Second, time.Millisecond)
			}
			batch := func(kinds ...uint32) (codes []abi.Code) {
				var list []byte
				for _, kind := range kinds {
					op := &abi.BatchOp{Kind: kind, Key: []byte("key"), Now: now}
					if kind == abi.BatchSet {
						op.Value = value(1, "text")
					}
					list = abi.AppendBatchOp(list, op)
				}
				results, err := h.Batch(list)
				require.NoError(t, err)
				for len(results) > 0 {
					code, _, rest, ok := abi.NextBatchResult(results)
					require.True(t, ok)
					codes, results = append(codes, code), rest
				}
				return codes
			}
			written()
			require.Equal(t, "1", replica.Info("db0")[len("keys="):][:1])
			require.NoError(t, h.Save(now))

			replica.Pause()
			_, err := h.Get([]byte("key"), now)
			require.NoError(t, err, "reading waits for nobody")
			require.ErrorIs(t, h.Set(set("key", "other", 2, 77)), guest.ErrConflict, "nothing was written")
			for _, write := range []func() error{
				write,
				func() error { return h.Set(set("key", "more", 2, 1)) },
				func() error { return h.Touch([]byte("key"), now+2*hour, now) },
				func() error { return h.Delete([]byte("key"), now) },
				func() error { _ = write(); return h.Clear(now) },
			} {
				err := write()
				require.ErrorIs(t, err, guest.ErrUnavailable)
				require.ErrorContains(t, err, "only 0 of 1 replicas have what was written, after the 100 ms of wait_ms")
			}
			require.Equal(t, []abi.Code{abi.NotFound, abi.Unavailable, 0, abi.Unavailable, abi.NotFound},
				batch(abi.BatchGet, abi.BatchSet, abi.BatchGet, abi.BatchDelete, abi.BatchGet))
			replica.Resume()
			written()
			require.Equal(t, []abi.Code{0, 0, 0, abi.NotFound}, batch(abi.BatchGet, abi.BatchSet, abi.BatchDelete, abi.BatchGet))
			require.Empty(t, e.writers)
		})
	}
}

// TestLostWritesAreNotTakenForReplicated loses the answer to each kind of write. It is not
// sent again: WAIT would know nothing of a write that was done over another connection.
func TestLostWritesAreNotTakenForReplicated(t *testing.T) {
	master := backend.Redis(t, backend.RedisOptions{})
	backend.Redis(t, backend.RedisOptions{ReplicaOf: master})
	p := backend.NewProxy(t, master.Addr())
	h, _ := start(t, p.Addr(), "wait_replicas", "1", "wait_ms", "5000")
	for revision := uint64(1); revision < 5; revision++ {
		require.NoError(t, h.Set(set("key", "text", 1, abi.ExpectAny)))
		p.CutAfter(0, backend.ToClient)
		err := map[uint64]func() error{
			1: func() error { return h.Set(set("key", "more", 2, 1)) },
			2: func() error { return h.Set(set("key", "text", 1, abi.ExpectAny)) },
			3: func() error { return h.Touch([]byte("key"), now+2*hour, now) },
			4: func() error { return h.Delete([]byte("key"), now) },
		}[revision]()
		require.ErrorIs(t, err, guest.ErrUnavailable, revision)
		require.EqualValues(t, 2*revision-1, p.Cuts())
		_, err = h.Get([]byte("absent"), now) // connects
		require.ErrorIs(t, err, guest.ErrNotFound)
		p.CutAfter(5, backend.ToClient) // the write is answered, and WAIT is not
		err = h.Set(set("key", "text", 1, abi.ExpectAny))
		require.ErrorIs(t, err, guest.ErrUnavailable)
		require.ErrorContains(t, err, "whether replicas have what was written cannot be told")
	}
}

// TestWritesWithoutReplicas: without wait_replicas nobody is waited for, whatever the server
// has.
func TestWritesWithoutReplicas(t *testing.T) {
	h, e := start(t, anyServer(t).Addr())
	require.NoError(t, h.Set(set("key", "text", 1, abi.ExpectAny)))
	require.NoError(t, h.Save(now))
	require.Empty(t, e.writers)
}

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// TestSaveWaitsForReplicas: with wait_replicas, Save succeeds when the replicas have what
// was written over this engine's connection, and only then.
func TestSaveWaitsForReplicas(t *testing.T) {
	for _, program := range backend.RedisPrograms {
		t.Run(program, func(t *testing.T) {
			master := backend.Redis(t, backend.RedisOptions{Program: program})
			replica := backend.Redis(t, backend.RedisOptions{Program: program, ReplicaOf: master})
			h, _ := start(t, master.Addr(), "wait_replicas", "1", "wait_ms", "100")
			write := func() {
				t.Helper()
				require.NoError(t, h.Set(set("key", "text", 1, abi.ExpectAny)))
			}
			require.NoError(t, h.Save(now), "there is nothing to wait for")
			write()
			require.Eventually(t, func() bool { return h.Save(now) == nil }, 20*time.Second, time.Millisecond)

			replica.Pause()
			require.NoError(t, h.Save(now), "nothing was written since")
			_, err := h.Get([]byte("key"), now)
			require.NoError(t, err)
			require.NoError(t, h.Save(now), "reading is no write")
			for _, write := range []func(){
				write,
				func() { require.NoError(t, h.Set(set("key", "more", 2, 1))) },
				func() { require.NoError(t, h.Touch([]byte("key"), now+2*hour, now)) },
				func() { require.NoError(t, h.Delete([]byte("key"), now)) },
				func() { write(); require.NoError(t, h.Clear(now)) },
				func() {
					list := abi.AppendBatchOp(nil, &abi.BatchOp{Kind: abi.BatchSet, Key: []byte("b"), Value: value(1, ""), Now: now})
					_, err := h.Batch(list)
					require.NoError(t, err)
				},
			} {
				write()
				for range 2 {
					err := h.Save(now)
					require.ErrorIs(t, err, guest.ErrUnavailable)
					require.ErrorContains(t, err, "only 0 of 1 replicas have what was written, after the 100 ms of wait_ms")
				}
				replica.Resume()
				require.Eventually(t, func() bool { return h.Save(now) == nil }, 20*time.Second, time.Millisecond)
				replica.Pause()
			}

			// The server cannot say of another connection's writes, and Save says so.
			write()
			master.CutClients()
			err = h.Save(now)
			require.ErrorIs(t, err, guest.ErrUnavailable)
			require.ErrorContains(t, err, "whether replicas have it cannot be told")
			require.NoError(t, h.Save(now), "it was told, and nothing was written since")
			replica.Resume()
		})
	}
}

// TestSaveWithoutReplicas: without wait_replicas there is nothing to do, whatever the server
// has.
func TestSaveWithoutReplicas(t *testing.T) {
	h, e := start(t, anyServer(t).Addr())
	require.NoError(t, h.Set(set("key", "text", 1, abi.ExpectAny)))
	require.NoError(t, h.Save(now))
	require.Empty(t, e.writers)
}

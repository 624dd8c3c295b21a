package plugin

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// A caller whose context ends while its call waits for a turn leaves. The guest learns nothing
// of it and its instance goes on.
func TestCallersLeaveWhileTheyWaitForATurn(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		h := NewHost(HostConfig{Parallel: 1})
		wasm, err := os.ReadFile("testdata/hostile.wasm")
		require.NoError(t, err)
		p, err := Open(t.Context(), wasm, Config{Host: h, Shards: 1, Trusted: trusted, NoCache: true, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		_, err = p.Get(t.Context(), []byte("key"), 0)
		require.NoError(t, err)

		other := h.turns.Flow().Call()
		require.True(t, other.Begin(context.Background()))
		for op, call := range map[string]func(context.Context) error{
			"get": func(ctx context.Context) error { _, err := p.Get(ctx, []byte("key"), 0); return err },
			"set": func(ctx context.Context) error {
				return p.Set(ctx, store.Write{Key: []byte("key"), Value: make([]byte, 8)})
			},
			"cas": func(ctx context.Context) error {
				return p.Set(ctx, store.Write{Key: []byte("key"), Value: make([]byte, 8), Expect: 7})
			},
			"touch":  func(ctx context.Context) error { return p.Touch(ctx, []byte("key"), 1, 0) },
			"delete": func(ctx context.Context) error { return p.Delete(ctx, []byte("key"), 0) },
		} {
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan error, 1)
			go func() { left <- call(ctx) }()
			require.Eventually(t, func() bool { return h.Stats().Turns.Waiting == 1 }, time.Minute, time.Millisecond)
			cancel()
			require.Equal(t, context.Canceled, <-left, op)
		}
		other.End(0)
		_, err = p.Get(t.Context(), []byte("key"), 0)
		require.NoError(t, err)
		after := p.Stats()
		require.EqualValues(t, 2, after.Ops["get"].Calls)
		for _, op := range []string{"set", "touch", "delete"} {
			require.Zero(t, after.Ops[op].Calls, op)
		}
		require.Zero(t, after.Ops["get"].Errors)
		require.Zero(t, after.Restarts)
		require.Equal(t, Turns{Engaged: true}, h.Stats().Turns)
		_ = h.Close(context.Background()) // this guest cannot save
	}
}

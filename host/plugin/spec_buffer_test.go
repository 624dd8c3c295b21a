package plugin_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// smallBuffer returns a guest whose exchange buffer has at most a number of bytes. It
// counts the bytes passed to session_restore; session_sweep answers the count.
func smallBuffer(t testing.TB, most int) *plugin.Plugin {
	m := specGuest(t)
	const counter = 1024
	m.export(abi.ExportAlloc).body = append(append(append(append([]byte{opLocalGet, 0, opI32Const}, sleb(int64(most))...),
		0x4b /* i32.gt_u */, 0x04, 0x7f /* if: i32 */, opI32Const, 0, 0x05 /* else */, opI32Const), sleb(specBuffer)...), opEnd)
	address := sleb(counter)
	body := append([]byte{opI32Const}, address...)
	body = append(append(append(body, opI32Const), address...), 0x28, 2, 0 /* i32.load */, opLocalGet, 1, 0x6a /* i32.add */, 0x36, 2, 0 /* i32.store */)
	m.export(abi.ExportRestore).body = append(body, opI64Const, 0)
	m.export(abi.ExportSweep).body = append(append([]byte{opI32Const}, address...), 0x28, 2, 0, 0xac /* i64.extend_i32_s */)
	return open(t, m.bytes(), specConfigOf(nil))
}

// A host may ask for more than it needs, so as not to ask again soon. It must not take
// the answer for one about what it needs.
func TestBufferThatCannotDouble(t *testing.T) {
	p := smallBuffer(t, 100_000)
	for _, size := range []int{10, 5000, 70_000, 99_999} {
		require.NoError(t, p.Set(ctx, store.Write{Key: []byte("k"), Value: make([]byte, size), Now: 1}), "%d bytes", size)
	}
	err := p.Set(ctx, store.Write{Key: []byte("k"), Value: make([]byte, 100_000), Now: 1})
	require.ErrorIs(t, err, store.ErrNoSpace)
	require.ErrorContains(t, err, "the guest has no room for a buffer of 100001 bytes")
	require.NoError(t, p.Set(ctx, store.Write{Key: []byte("k"), Value: make([]byte, 99_999), Now: 1}), "and goes on")
	require.Zero(t, p.Stats().Restarts)
}

// A list of records is divided for a guest that has no buffer for all of it.
func TestRestoreInPartsThatFit(t *testing.T) {
	for _, c := range []struct {
		sizes []int
		err   error
	}{
		{make([]int, 3000), nil},
		{[]int{1, 60_000, 1, 1, 69_000, 69_000, 1}, nil},
		{[]int{69_000, 69_000, 69_000}, nil},
		{[]int{1, 1, 69_000}, nil},
		{[]int{80_000}, store.ErrNoSpace},
		{[]int{1, 80_000, 1}, store.ErrNoSpace},
		{nil, nil},
	} {
		p := smallBuffer(t, 70_000)
		want := 0
		err := p.Restore(ctx, func(yield func(store.Record, error) bool) {
			for i, size := range c.sizes {
				r := store.Record{Key: fmt.Appendf(nil, "%04d", i), Value: make([]byte, size+100)}
				want += 16 + len(r.Key) + len(r.Value)
				if !yield(r, nil) {
					return
				}
			}
		}, 1)
		require.ErrorIs(t, err, c.err, "%v", len(c.sizes))
		if c.err == nil {
			got, err := p.Sweep(ctx, 1<<30, 1)
			require.NoError(t, err)
			require.Equal(t, want, got, "bytes that came to session_restore")
		}
	}
}

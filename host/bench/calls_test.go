package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

func TestVerifyCalleeFindsFaults(t *testing.T) {
	key, _ := record(17)
	for _, s := range []faultyStore{{lose: key}, {change: key}} {
		s.Memory = store.NewMemory()
		require.ErrorContains(t, verifyCallee(newStoreCallee(context.Background(), "faulty", s)), "want the 300 bytes that were set")
	}
	sound := newStoreCallee(context.Background(), "sound", store.NewMemory())
	require.NoError(t, verifyCallee(sound))
	require.NoError(t, sound.close())
	require.ErrorIs(t, verifyCallee(sound), store.ErrClosed)
}

// A callee that stops returning whole values is noticed while it is measured.
func TestCallCellNotesFaults(t *testing.T) {
	c := newStoreCallee(context.Background(), "short", store.NewMemory())
	for i := range c.values {
		c.values[i] = c.values[i][:10]
		require.NoError(t, c.set(i))
	}
	var fault error
	callCell(c, opRead, &fault).run(0, 1)
	require.ErrorContains(t, fault, "a value of 10 bytes")
}

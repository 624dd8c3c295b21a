package segments_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
)

// opened turns an existing store into an engine.
type opened struct{ *segments.Store }

func (opened) Open(*guest.Config) error { return nil }

// drive runs a store through the interface, for operations that work in chunks.
func drive(t testing.TB, s *segments.Store) *guest.Harness {
	h := guest.NewHarness(opened{s}, guest.Info{Name: "dynfile", CAS: true, MaxValue: segments.MaxValue})
	require.NoError(t, h.Open())
	return h
}

func decimal(n int) string { return strconv.Itoa(n) }

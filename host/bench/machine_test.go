package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the collector was told is said, since it decides what garbage costs. A worker is told
// the same.
func TestMachineSaysWhatTheCollectorIsTold(t *testing.T) {
	t.Setenv("GOGC", "33")
	t.Setenv("GOMEMLIMIT", "500MiB")
	w, err := hire(t.Context(), assignment{Part: "machine", Subject: "machine"})
	require.NoError(t, err)
	require.NoError(t, w.close())
	require.Equal(t, map[string]float64{"gogc": 33, "gomemlimit": 500 << 20}, w.facts)
	for _, c := range []struct {
		machine machine
		want    string
	}{
		{machine{Collector: 100}, "GOGC=100, no memory limit"},
		{machine{Collector: -1, MemoryLimit: 1 << 30}, "GOGC=off, GOMEMLIMIT=1024MiB"},
	} {
		require.Equal(t, c.want, c.machine.memory())
	}
}

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRequests runs one peer at a time, for profiles; the program does the
// comparing.
func BenchmarkRequests(b *testing.B) {
	for _, p := range peers() {
		b.Run(p.name, func(b *testing.B) {
			a, err := startPeer(b.Context(), p, b.TempDir(), 1)
			require.NoError(b, err)
			for _, op := range measured {
				if !p.does(op) {
					continue
				}
				b.Run(op.String(), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						a.run(op, 0, 1, 1)
					}
				})
			}
			require.NoError(b, a.verify())
			require.NoError(b, a.server.close())
		})
	}
}

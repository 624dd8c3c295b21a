package rewrite_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// The guests of the tree give the same values metered as they do not. Those that do not
// depend on a clock or on random numbers use the same fuel in both engines.
func TestGuestsMetered(t *testing.T) {
	for name, path := range byLanguage {
		t.Run(name, func(t *testing.T) {
			if raced && name == "go" {
				t.Skip("takes minutes")
			}
			wasm := module(t, path)
			plain := openGuest(t, compiler(), wasm, rewrite.Options{})
			guests := []*guest{openGuest(t, compiler(), wasm, metered)}
			if name != "go" { // which takes long in the interpreter
				guests = append(guests, openGuest(t, engines["interpreter"], wasm, metered))
			}
			var fuel []int64
			for k := range 50 {
				want := plain.roundTrip(k)
				fuel = fuel[:0]
				for _, g := range guests {
					g.given = g.slice
					require.Equal(t, want, g.roundTrip(k))
					fuel = append(fuel, g.given-int64(g.fuel.Get()))
					require.Equal(t, uint64(rewrite.DepthLimit), g.depth.Get())
				}
				require.Positive(t, fuel[0])
				if name != "go" {
					require.Equal(t, fuel[0], fuel[1])
				}
			}
			t.Logf("a get uses %d", fuel[0])
		})
	}
}

// roundTrip writes a value and reads it.
func (g *guest) roundTrip(k int) string {
	g.value[0] = byte(k)
	g.Set(k)
	g.given = g.slice
	g.Get(k)
	value, ok := g.module.Memory().Read(uint32(g.stack[0]>>32), uint32(g.stack[0]))
	require.True(g.t, ok)
	return string(value)
}

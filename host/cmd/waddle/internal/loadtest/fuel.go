package loadtest

import (
	"context"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Fuel is how much fuel calls of one operation used.
type Fuel struct {
	Median uint64 `json:"median"`
	Most   uint64 `json:"most"`
}

// fuelCalls is how many calls are made to tell their fuel.
const fuelCalls = 256

// fuelOf tells the fuel of an operation, with the records in the store. It is nil if
// the store does not tell, or a call failed: the figures of the rounds then say why.
func fuelOf(ctx context.Context, figure *Figure, o Opened, keys [][]byte) *Fuel {
	if o.Fuel == nil {
		return nil
	}
	one := *figure
	one.Concurrency = 1
	w := newCrew(o.Store, &one, keys).workers[0]
	used := make([]uint64, fuelCalls)
	before := o.Fuel()
	for i := range used {
		if err := w.do(ctx, keys[w.random.IntN(len(keys))], store.At(time.Now())); err != nil {
			return nil
		}
		after := o.Fuel()
		used[i] = after - before
		before = after
	}
	slices.Sort(used)
	return &Fuel{used[(fuelCalls-1)/2], used[fuelCalls-1]}
}

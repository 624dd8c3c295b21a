//go:build unix

package protocol

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// busyInstance takes as long for a get as a guest does.
type busyInstance struct {
	*fakeInstance
	steps int
	state [64]uint64
}

func (i *busyInstance) Get([]byte, store.Millis) ([]byte, error) {
	i.register.Fuel++
	work(&i.state, i.steps)
	return nil, nil
}

func (i *busyInstance) Register() *Register { return &i.register }

// work takes about a nanosecond a step.
func work(state *[64]uint64, steps int) {
	h := uint64(1)
	for n := range steps {
		h = (h ^ state[n&63]) * 0x9e3779b97f4a7c15
		state[n&63] = h
	}
}

// BenchmarkCores shows what contention costs: as many goroutines as there are processors, twice, call
// guests whose calls take a third of a microsecond, with nothing in between, or with as much as
// a request takes.
func BenchmarkCores(b *testing.B) {
	const call = 300
	for _, pause := range []int{0, 2000} {
		for _, shards := range []int{1, 4, 8, 32, 64} {
			b.Run(fmt.Sprintf("pause=%d/shards=%d", pause, shards), func(b *testing.B) {
				f := newFake()
				f.as = func(i *fakeInstance) Instance { return &busyInstance{fakeInstance: i, steps: call} }
				st := f.open(b, Config{Shards: shards})
				before := processorTime()
				b.SetParallelism(2)
				b.RunParallel(func(pb *testing.PB) {
					var state [64]uint64
					key, r := make([]byte, 32), rand.New(rand.NewPCG(rand.Uint64(), 1))
					for pb.Next() {
						binary.LittleEndian.PutUint64(key, r.Uint64())
						if _, err := st.GetInto(b.Context(), key, 1, nil, 1000); err != nil {
							b.Error(err)
							return
						}
						work(&state, pause)
					}
				})
				b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
				var taken uint64
				for _, s := range st.shards {
					taken += s.taken
				}
				b.ReportMetric(100*float64(taken)/float64(b.N), "%taken")
			})
		}
	}
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

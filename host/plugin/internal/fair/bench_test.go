package fair

import (
	"context"
	"testing"
)

// What a call pays: while calls take no turns, for a free turn, and for turns that plugins
// take at once on all cores.
func BenchmarkCall(b *testing.B) {
	for _, c := range []struct {
		name   string
		strict bool
	}{{"calm", false}, {"engaged", true}} {
		b.Run(c.name, func(b *testing.B) {
			c := New(2, c.strict).Flow().Call()
			b.ReportAllocs()
			for b.Loop() {
				c.Begin(none)
				c.End(20_000)
			}
		})
		b.Run(c.name+"/parallel", func(b *testing.B) {
			d := New(2, c.strict)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				c := d.Flow().Call()
				for pb.Next() {
					c.Begin(none)
					c.End(20_000)
				}
			})
		})
	}
}

// none is the context of calls whose callers stay.
var none = context.Background()

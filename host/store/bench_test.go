package store_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// BenchmarkMemory measures an operation on a store with as many records as are made
// within a session's life. All of them expire in the end.
func BenchmarkMemory(b *testing.B) {
	const live = 100_000
	ctx, body := context.Background(), value(1, "what a small session holds, and some more of it")
	key := func(i int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 32), uint64(i))[:32] }
	for _, c := range []struct {
		name string
		do   func(s store.Store, i int) error
	}{
		{"create", func(s store.Store, i int) error {
			return s.Set(ctx, store.Write{Key: key(live + i), Value: body, Expires: now + store.Millis(live+i) + live, Now: now + store.Millis(live+i), Expect: store.Absent})
		}},
		{"overwrite", func(s store.Store, i int) error {
			return s.Set(ctx, store.Write{Key: key(i * 7919 % live), Value: body, Expires: now + store.Millis(i) + live, Now: now})
		}},
		{"touch", func(s store.Store, i int) error {
			return store.Touch(ctx, s, key(i*7919%live), now+store.Millis(i)+live, now)
		}},
		{"get", func(s store.Store, i int) error {
			_, err := s.Get(ctx, key(i*7919%live), now)
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := store.NewMemory()
			for i := range live {
				if err := s.Set(ctx, store.Write{Key: key(i), Value: body, Expires: now + store.Millis(i) + live, Now: now, Expect: abi.ExpectAny}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := c.do(s, i); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.Len())/live, "held/live")
		})
	}
}

package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

var smallCrowd = crowd{records: 3000, slices: 2, span: 50 * time.Millisecond}

func TestCrowd(t *testing.T) {
	ctx := context.Background()
	engine, err := openEngine(ctx, engineSmall)
	require.NoError(t, err)
	defer engine.Close(ctx)
	for _, c := range []struct {
		name   string
		store  crowdStore
		memory func() int64
	}{
		{"native", store.NewMemory(), heapMeter()},
		{"engine", engine, func() int64 { return engine.Stats().Memory }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := runCrowd(ctx, c.name, c.store, c.memory, smallCrowd)
			require.NoError(t, err)
			require.Equal(t, smallCrowd.records, r.Records)
			require.GreaterOrEqual(t, r.Memory, int64(smallCrowd.records*(keySize+valueSize)))
			require.InDelta(t, float64(r.Memory)/float64(r.Records)-keySize-valueSize, r.Overhead, 1e-9)
			require.Equal(t, uint64(smallCrowd.records), r.Fill.Operations)
			require.Positive(t, r.Mixed.Operations)
			require.Positive(t, r.Noise.Operations)
			require.Positive(t, r.Sweep.Operations)
			require.LessOrEqual(t, r.Mixed.P50, r.Mixed.P99)
			require.LessOrEqual(t, r.Mixed.P999, r.Mixed.Max)
		})
	}
}

// faultyStore does something wrong to one record.
type faultyStore struct {
	*store.Memory
	lose, change []byte
}

func (s faultyStore) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	value, err := s.Memory.Get(ctx, key, now)
	switch {
	case string(key) == string(s.lose):
		return nil, store.ErrNotFound
	case string(key) == string(s.change):
		value[100]++
	}
	return value, err
}

func TestCrowdFindsFaults(t *testing.T) {
	key := make([]byte, keySize)
	crowdKey(key, 1234)
	for _, c := range []struct {
		name  string
		store faultyStore
		want  string
	}{
		{"lost", faultyStore{lose: key}, "1 of 3000 records are missing"},
		{"changed", faultyStore{change: key}, "record 1234 came back as another"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.store.Memory = store.NewMemory()
			_, err := runCrowd(context.Background(), c.name, c.store, func() int64 { return 0 }, smallCrowd)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestCrowdRecordsDiffer(t *testing.T) {
	seen := map[string]int{}
	key := make([]byte, keySize)
	for i := range 100_000 {
		crowdKey(key, i)
		if other, ok := seen[string(key)]; ok {
			t.Fatalf("records %d and %d have one key", other, i)
		}
		seen[string(key)] = i
	}
}

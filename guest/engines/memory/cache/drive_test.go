package cache_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

// opened turns an existing cache into an engine.
type opened struct{ *cache.Cache }

func (opened) Open(*guest.Config) error { return nil }

// driver runs a cache through the interface, for operations that work in
// chunks.
type driver struct {
	t       testing.TB
	harness *guest.Harness
}

func drive(t testing.TB, c *cache.Cache) driver {
	h := guest.NewHarness(opened{c}, guest.Info{Name: "memory", CAS: true, MaxValue: cache.MaxValue})
	require.NoError(t, h.Open())
	return driver{t, h}
}

func listKeys(t testing.TB, c *cache.Cache, cursor, now int64) (keys [][]byte, next int64) {
	keys, next, err := drive(t, c).harness.Keys(cursor, now)
	require.NoError(t, err)
	return keys, next
}

func (d driver) snapshot(cursor, now int64) (list []byte, next int64) {
	list, next, err := d.harness.Snapshot(cursor, now)
	require.NoError(d.t, err)
	return list, next
}

func (d driver) restore(list []byte, now int64) {
	require.NoError(d.t, d.harness.Restore(list, now))
}

func isOneOf(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

package playground

import (
	"testing"

	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// TestTracedStore: a traced store does everything that the store beneath does.
func TestTracedStore(t *testing.T) {
	storetest.Wrapper(t, func(s store.Store) store.Store { return tracedStore{s} })
}

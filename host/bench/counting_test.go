package main

import (
	"testing"

	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// TestCountingStore: it does everything that the store beneath does.
func TestCountingStore(t *testing.T) {
	storetest.Wrapper(t, func(s store.Store) store.Store { return &countingStore{Store: s} })
}

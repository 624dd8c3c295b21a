package storetest_test

import (
	"context"
	"testing"

	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

func openMemory(context.Context, storetest.Setup) (store.Store, error) { return store.NewMemory(), nil }

func TestMemory(t *testing.T) { storetest.Run(t, openMemory) }

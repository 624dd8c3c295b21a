package main

import (
	"context"

	"github.com/waddle-sessions/waddle/host/store"
)

// nothing is a store that does nothing and returns at once. The same load over
// it shows what the machine, the scheduler and the clock add to every timed
// operation.
type nothing struct{}

func (nothing) Get(context.Context, []byte, store.Millis) ([]byte, error)         { return nil, nil }
func (nothing) Set(context.Context, store.Write) error                            { return nil }
func (nothing) Touch(context.Context, []byte, store.Millis, store.Millis) error   { return nil }
func (nothing) Delete(context.Context, []byte, store.Millis) error                { return nil }
func (nothing) Sweep(context.Context, int, store.Millis) (removed int, err error) { return 0, nil }

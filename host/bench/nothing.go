package main

import (
	"context"

	"github.com/waddle-sessions/waddle/host/store"
)

// nothing is a store that does nothing at once. The same load over it shows what
// the machine, the scheduler and the clock add to every timed operation.
type nothing struct{}

func (nothing) Get(context.Context, []byte, int64) ([]byte, error)         { return nil, nil }
func (nothing) Set(context.Context, store.Write) error                     { return nil }
func (nothing) Touch(context.Context, []byte, int64, int64) error          { return nil }
func (nothing) Delete(context.Context, []byte, int64) error                { return nil }
func (nothing) Clear(context.Context, int64) error                         { return nil }
func (nothing) Save(context.Context, int64) error                          { return nil }
func (nothing) Close(context.Context) error                                { return nil }
func (nothing) Sweep(context.Context, int, int64) (removed int, err error) { return 0, nil }

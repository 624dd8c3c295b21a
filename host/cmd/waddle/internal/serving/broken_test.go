package serving_test

import (
	"context"
	"fmt"

	"github.com/waddle-sessions/waddle/host/store"
)

// broken is a store that is down.
type broken struct{ store.Store }

var errDown = fmt.Errorf("%w: dial 10.1.0.7: no route", store.ErrUnavailable)

func (broken) Get(context.Context, []byte, store.Millis) ([]byte, error) { return nil, errDown }
func (broken) Set(context.Context, store.Write) error                    { return errDown }
func (broken) Delete(context.Context, []byte, store.Millis) error        { return errDown }

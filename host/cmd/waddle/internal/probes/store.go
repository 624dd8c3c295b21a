package probes

import (
	"context"
	"errors"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/store"
)

// Store returns the store to give to sessions: it counts and times their operations. The
// operations of background work, which it leaves to the store beneath, are among the
// figures of a plugin.
func (p *Probes) Store() store.Store { return p.watched }

type watched struct {
	store.Store
	reads store.Bounded
	ops   [len(watchedOps)]watchedOp
}

var watchedOps = [...]store.Op{store.OpGet, store.OpSet, store.OpTouch, store.OpDelete}

const (
	opGet = iota
	opSet
	opTouch
	opDelete
)

type watchedOp struct {
	took     promtext.Durations
	outcomes [len(outcomeNames)]counter
}

// outcomeNames are how an operation may end. A missing record, or one other than
// expected, is an answer and no failure, and neither is a client that left one.
var outcomeNames = [...]string{"ok", "not_found", "conflict", "canceled", "error"}

func outcomeOf(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, store.ErrNotFound):
		return 1
	case errors.Is(err, store.ErrConflict):
		return 2
	case errors.Is(err, context.Canceled):
		return 3
	}
	return 4
}

func (w *watched) Unwrap() store.Store { return w.Store }

func (w *watched) end(op int, began time.Time, err error) {
	o := &w.ops[op]
	o.took.Observe(time.Since(began))
	o.outcomes[outcomeOf(err)].Add(1)
}

func (w *watched) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	began := time.Now()
	value, err := w.Store.Get(ctx, key, now)
	w.end(opGet, began, err)
	return value, err
}

// GetInto implements [store.Bounded].
func (w *watched) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	began := time.Now()
	value, err := w.reads.GetInto(ctx, key, now, into, most)
	w.end(opGet, began, err)
	return value, err
}

func (w *watched) Set(ctx context.Context, write store.Write) error {
	began := time.Now()
	err := w.Store.Set(ctx, write)
	w.end(opSet, began, err)
	return err
}

func (w *watched) Delete(ctx context.Context, key []byte, now store.Millis) error {
	began := time.Now()
	err := w.Store.Delete(ctx, key, now)
	w.end(opDelete, began, err)
	return err
}

// Touch implements [store.Toucher], if the store beneath does.
func (w *watched) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	began := time.Now()
	err := store.Touch(ctx, w.Store, key, expires, now)
	if !errors.Is(err, store.ErrUnsupported) {
		w.end(opTouch, began, err)
	}
	return err
}

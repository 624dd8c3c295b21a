package plugintest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// byLists is a guest whose operations on records are lists for session_batch. Every second list
// has reads of the same record around the operation.
type byLists struct {
	*guest
	shards int

	mu    sync.Mutex
	calls int
}

// needsBatches says why the suite cannot be run by lists.
func (h *harness) needsBatches() error {
	switch {
	case !h.exports(abi.ExportBatch):
		return fmt.Errorf("plugintest: Batches needs the export %s, which the guest does not have", abi.ExportBatch)
	case !slices.Contains(h.info.Capabilities, abi.CapabilityCAS):
		return fmt.Errorf("plugintest: Batches needs the capability %s, which the guest does not describe", abi.CapabilityCAS)
	}
	return nil
}

func (h *harness) openByLists(ctx context.Context, setup storetest.Setup) (store.Store, error) {
	if err := h.needsRouted(ctx); err != nil {
		return nil, err
	}
	config := h.config(setup)
	g, err := h.openModule(ctx, h.routed, config)
	if err != nil {
		return nil, err
	}
	return &byLists{guest: g, shards: config.Shards}, nil
}

// do makes a list of an operation, and returns its result.
func (g *byLists) do(ctx context.Context, op abi.BatchOp) ([]byte, error) {
	if err := store.CheckKey(op.Key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	look := abi.BatchOp{Kind: abi.BatchGet, Key: op.Key, Now: op.Now}
	ops, at := []abi.BatchOp{op}, 0
	if g.calls++; g.calls%2 == 0 {
		ops, at = []abi.BatchOp{look, op, look}, 1
	}
	shard := abi.ShardOf(op.Key, g.shards)
	var list []byte
	for i := range ops {
		list = abi.AppendBatchOp(list, &ops[i])
	}
	key := route(routedBatch, shard, g.shards, int64(len(list)), nil)
	if err := g.guest.Set(ctx, store.Write{Key: key, Value: list, Now: store.Millis(op.Now)}); err != nil {
		return nil, err
	}
	answer, err := g.guest.Get(ctx, key, store.Millis(op.Now))
	if err != nil {
		return nil, err
	}
	for i := range ops {
		code, body, rest, ok := abi.NextBatchResult(answer)
		if !ok {
			return nil, fmt.Errorf("%w: %d results for a list of %d operations", plugin.ErrProtocol, i, len(ops))
		}
		if answer = rest; i != at {
			continue
		}
		switch {
		case code == 0:
			return append([]byte{}, body...), nil
		case code == abi.Unsupported && op.Kind == abi.BatchGet:
			return g.guest.Get(ctx, route(routedGet, shard, g.shards, 0, op.Key), store.Millis(op.Now))
		case len(body) == 0:
			return nil, store.FromCode(code)
		}
		return nil, fmt.Errorf("%w: %s", store.FromCode(code), body)
	}
	return nil, nil
}

// Get implements [store.Store].
func (g *byLists) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	return g.do(ctx, abi.BatchOp{Kind: abi.BatchGet, Key: key, Now: int64(now)})
}

// GetInto implements [store.Bounded].
func (g *byLists) GetInto(ctx context.Context, key []byte, now store.Millis, into []byte, most int) ([]byte, error) {
	value, err := g.Get(ctx, key, now)
	if err == nil {
		err = store.CheckSize(len(value), most)
	}
	if err != nil {
		return nil, err
	}
	return value, nil
}

// Set implements [store.Store].
func (g *byLists) Set(ctx context.Context, w store.Write) error {
	_, err := g.do(ctx, abi.BatchOp{Kind: abi.BatchSet, Key: w.Key, Value: w.Value, Expires: int64(w.Expires), Now: int64(w.Now), Expect: w.Expect})
	return err
}

// Touch implements [store.Toucher].
func (g *byLists) Touch(ctx context.Context, key []byte, expires, now store.Millis) error {
	_, err := g.do(ctx, abi.BatchOp{Kind: abi.BatchTouch, Key: key, Expires: int64(expires), Now: int64(now)})
	return err
}

// Delete implements [store.Store].
func (g *byLists) Delete(ctx context.Context, key []byte, now store.Millis) error {
	_, err := g.do(ctx, abi.BatchOp{Kind: abi.BatchDelete, Key: key, Now: int64(now)})
	return err
}

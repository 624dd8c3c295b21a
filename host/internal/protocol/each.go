package protocol

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/waddle-sessions/waddle/host/store"
)

// each runs f on every shard at once. A shard that hangs does not hold up the others,
// nor the caller once the context ends. The functions in before take the shard's lock
// themselves.
func (st *Store) each(ctx context.Context, op opKind, f func(*shard, *runner) error, before ...func(*shard) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	outcomes := make(chan outcome, len(st.shards))
	for _, s := range st.shards {
		go func() { outcomes <- s.one(ctx, op, f, before) }()
	}
	errs, ended := make([]error, len(st.shards)), make([]bool, len(st.shards))
	var panicked any
	for range st.shards {
		select {
		case o := <-outcomes:
			panicked = cmp.Or(panicked, o.panicked)
			errs[o.shard], ended[o.shard] = o.err, true
		case <-ctx.Done():
			return errors.Join(append(errs, st.hung(ended, ctx.Err()))...)
		}
	}
	if panicked != nil {
		panic(panicked)
	}
	if err := errs[0]; err == store.ErrClosed || err != nil && err == ctx.Err() {
		return err
	}
	return errors.Join(errs...)
}

// everyShard is each without functions before f.
func (st *Store) everyShard(ctx context.Context, op opKind, f func(*shard, *runner) error) error {
	return st.each(ctx, op, f)
}

// outcome is the result of one shard.
type outcome struct {
	shard    int
	err      error
	panicked any
}

func (s *shard) one(ctx context.Context, op opKind, f func(*shard, *runner) error, before []func(*shard) error) (o outcome) {
	o.shard = s.index
	// A guest that is Go code must panic where its caller can recover.
	defer func() {
		if r := recover(); r != nil {
			o.panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
		}
	}()
	// A shard that was never open has accepted nothing, and one that sleeps has
	// been saved.
	if op == opSave && s.resting() {
		if s.store.closing.Load() {
			o.err = store.ErrClosed
		}
		return o
	}
	for _, do := range before {
		if o.err = do(s); o.err != nil {
			return o
		}
	}
	inst, err := s.lock(ctx)
	if err != nil {
		o.err = err
		return o
	}
	defer s.unlock()
	o.err = s.done(op, inst, f(s, inst))
	return o
}

package tenant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// probeKeep is how long a record of the probe lives if it cannot be deleted, in
// milliseconds.
const probeKeep = 60_000

// probe tries each shard of a plugin with a record of its own under a random key: it must
// keep it, replace it, refuse to replace another revision, and delete it.
func probe(ctx context.Context, p *plugin.Plugin, now store.Millis) error {
	shards := p.Info().Shards
	for missing, tried := shards, make([]bool, shards); missing > 0; {
		key := make([]byte, 32)
		rand.Read(key)
		shard := abi.ShardOf(key, shards)
		if tried[shard] {
			continue
		}
		tried[shard] = true
		missing--
		if err := probeKey(ctx, p, key, now); err != nil {
			return err
		}
	}
	return nil
}

func probeKey(ctx context.Context, s store.Store, key []byte, now store.Millis) (err error) {
	record := func(revision uint64) []byte {
		b := binary.LittleEndian.AppendUint64(nil, revision)
		for range 4 {
			b = append(b, key...)
		}
		return b
	}
	w := store.Write{Key: key, Value: record(1), Expires: now + probeKeep, Now: now, Expect: store.Absent}
	steps := []struct {
		what string
		do   func() error
	}{
		{"set of a new record", func() error { return s.Set(ctx, w) }},
		{"get of it", func() error { return holds(ctx, s, w) }},
		{"set of a new record where there is one", func() error { return must(s.Set(ctx, w), store.ErrConflict) }},
		{"set with the record's revision", func() error {
			w.Value, w.Expect = record(2), 1
			return s.Set(ctx, w)
		}},
		{"get of what replaced it", func() error { return holds(ctx, s, w) }},
		{"set with an older revision", func() error { return must(s.Set(ctx, w), store.ErrConflict) }},
		{"delete of it", func() error { return s.Delete(ctx, key, now) }},
		{"get after the delete", func() error {
			_, err := s.Get(ctx, key, now)
			return must(err, store.ErrNotFound)
		}},
	}
	for i, step := range steps {
		if err := step.do(); err != nil {
			if i > 0 {
				_ = s.Delete(ctx, key, now)
			}
			return fmt.Errorf("%w: %s: %w", ErrProbe, step.what, err)
		}
	}
	return nil
}

func holds(ctx context.Context, s store.Store, w store.Write) error {
	got, err := s.Get(ctx, w.Key, w.Now)
	if err == nil && !bytes.Equal(got, w.Value) {
		err = fmt.Errorf("it answers %d bytes that are not the %d that were stored", len(got), len(w.Value))
	}
	return err
}

// must returns nil for the error that is wanted.
func must(err, want error) error {
	switch {
	case errors.Is(err, want):
		return nil
	case err == nil:
		return fmt.Errorf("it answers success: must answer %q", want)
	}
	return err
}

//go:build !wasip1

package nativetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

const (
	defaultMemory = 512 << 20 // for all shards, as in a host
	pageSize      = 64 << 10
)

// Config configures a store of engines.
type Config struct {
	// Engine makes the engine of a shard. It gets Setup.Dir.
	Engine func(dir string) guest.Engine
	Info   guest.Info
	// Settings are passed to an engine when it opens, beside the host's own.
	Settings map[string]string
	Setup    storetest.Setup
	// Log is called with an engine's log lines. Nil leaves them to [guest.Logged].
	Log func(shard int, lines []guest.Line)
}

// engines is a store of engines.
type engines struct {
	*protocol.Store
	config Config
	shards int
	limit  int64        // bytes of memory for one engine
	last   atomic.Int64 // the time last told to an engine, 0 for none
}

var (
	_ store.Store       = (*engines)(nil)
	_ store.Toucher     = (*engines)(nil)
	_ store.Clearer     = (*engines)(nil)
	_ store.Saver       = (*engines)(nil)
	_ store.Sweeper     = (*engines)(nil)
	_ store.Lister      = (*engines)(nil)
	_ store.Snapshotter = (*engines)(nil)
	_ store.Restorer    = (*engines)(nil)
	_ store.Closer      = (*engines)(nil)
)

// Open opens a store of engines, one for each shard, in the order of the shards.
//
// Errors match those of package store by [errors.Is] and carry the message that the
// host would get. The store may be used by many goroutines at once. A panic of an engine
// reaches the goroutine of the call.
func Open(ctx context.Context, config Config) (store.Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	setup := config.Setup
	shards := cmp.Or(setup.Shards, 1)
	if shards < 0 || bits.OnesCount(uint(shards)) != 1 {
		return nil, fmt.Errorf("%w: Setup.Shards is %d: must be a power of two", store.ErrInvalid, shards)
	}
	for _, name := range []string{abi.ConfigShard, abi.ConfigShards, abi.ConfigMemoryLimit} {
		if _, ok := config.Settings[name]; ok {
			return nil, fmt.Errorf("%w: the setting %q is set by the host: remove it from Settings", store.ErrInvalid, name)
		}
	}
	e := &engines{config: config, shards: shards}
	e.limit = min(cmp.Or(setup.MemoryLimit, defaultMemory)/int64(shards), abi.MaxMemory) / pageSize * pageSize
	e.Store = protocol.New(protocol.Config{
		Name:        config.Info.Name,
		Shards:      shards,
		New:         e.instance,
		Pairs:       e.pairs,
		Fail:        func(f *protocol.Failure) error { return (*failure)(f) },
		MemoryLimit: e.limit,
		FileBytes:   -1,
	})
	for i := range shards {
		if err := e.Store.Open(i); err != nil {
			e.Discard()
			return nil, (*failure)(e.Failure("open", i, err))
		}
	}
	return e, nil
}

// pairs returns the settings with which the engine of a shard opens.
func (e *engines) pairs(shard int) (list []byte) {
	all := map[string]string{
		abi.ConfigShard:       strconv.Itoa(shard),
		abi.ConfigShards:      strconv.Itoa(e.shards),
		abi.ConfigMemoryLimit: strconv.FormatInt(e.limit, 10),
	}
	maps.Copy(all, e.config.Settings)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = abi.AppendPair(list, name, all[name])
	}
	return list
}

// Close implements store.Closer. It saves with the time of the last operation.
func (e *engines) Close(ctx context.Context) error {
	return e.Store.Close(ctx, cmp.Or(store.Millis(e.last.Load()), storetest.Now), nil)
}

// failure is an engine's answer, or its breach of the contract, worded as by a host.
type failure protocol.Failure

// Error implements error.
func (f *failure) Error() string {
	text := (*protocol.Failure)(f).Text()
	if f.Shard == protocol.NoShard {
		return fmt.Sprintf("engine %s: %s: %s", f.Plugin, f.Op, text)
	}
	return fmt.Sprintf("engine %s: %s in shard %d: %s", f.Plugin, f.Op, f.Shard, text)
}

// Unwrap returns the error of package store.
func (f *failure) Unwrap() error {
	if f.Kind != nil {
		return store.ErrUnavailable
	}
	return store.FromCode(f.Code)
}

package protocol

import (
	"context"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Limit is a limit of a plugin, in a word.
type Limit string

// The limits that a Store holds a guest and its callers to. [Config].Exceeded is told of
// each time.
const (
	LimitKey         Limit = "key"
	LimitValue       Limit = "value"
	LimitResult      Limit = "result"
	LimitEnumeration Limit = "enumeration"
	LimitQueue       Limit = "queue"
	LimitQueueWait   Limit = "queue_wait"
)

// tooLarge refuses a key or a value before the guest sees it. Its size is used, and allowed
// is what the plugin takes.
func (st *Store) tooLarge(op opKind, limit Limit, used, allowed int) error {
	st.config.Exceeded(limit)
	return st.config.Fail(&Failure{
		Plugin: st.Name(), Op: op.String(), Shard: NoShard, Code: abi.TooLarge, Limit: limit,
		Message: fmt.Sprintf("the %s is %d bytes: must be at most %d", limit, used, allowed),
		Allowed: int64(allowed), Used: int64(used),
	})
}

// checkKey returns the guest's description if the guest takes the key.
func (st *Store) checkKey(ctx context.Context, op opKind, key []byte) (*Description, error) {
	switch {
	case len(key) == 0:
		return nil, store.CheckKey(key)
	case len(key) > st.config.MaxKey: // whatever the guest says
		return nil, st.tooLarge(op, LimitKey, len(key), st.config.MaxKey)
	}
	d, err := st.description(ctx)
	if err == nil && len(key) > d.MaxKey {
		err = st.tooLarge(op, LimitKey, len(key), d.MaxKey)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (st *Store) checkWrite(ctx context.Context, op opKind, key, value []byte) (*Description, error) {
	if len(value) > st.config.MaxValue {
		return nil, st.tooLarge(op, LimitValue, len(value), st.config.MaxValue)
	}
	d, err := st.checkKey(ctx, op, key)
	if err == nil && len(value) > d.MaxValue {
		err = st.tooLarge(op, LimitValue, len(value), d.MaxValue)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// checkResult refuses a stored value that is larger than its reader allows, or than the plugin
// may return. The guest did nothing wrong: it may have taken the value when more was allowed.
func (st *Store) checkResult(shard, size, most int) error {
	if size <= st.config.MaxValue {
		return store.CheckSize(size, most)
	}
	st.config.Exceeded(LimitResult)
	return st.config.Fail(&Failure{
		Plugin: st.Name(), Op: opGet.String(), Shard: shard, Kind: store.ErrOversized, Limit: LimitResult,
		Message: fmt.Sprintf("the value is %d bytes: must be at most %d", size, st.config.MaxValue),
		Allowed: int64(st.config.MaxValue), Used: int64(size),
	})
}

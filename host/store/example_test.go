package store_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// A record lives until its expiry. It can be replaced on condition that nobody else
// has replaced it.
func Example() {
	ctx := context.Background()
	var s store.Store = store.NewMemory()
	defer store.Close(ctx, s)

	const now, minute = 1767225600000, 60_000
	key := []byte("key")
	w := store.Write{Key: key, Value: []byte("\x05\x00\x00\x00\x00\x00\x00\x00hi!"), Expires: now + minute, Now: now, Expect: store.Absent}
	fmt.Println("create:", s.Set(ctx, w))
	fmt.Println("create again:", errors.Is(s.Set(ctx, w), store.ErrConflict))

	value, err := s.Get(ctx, key, now+minute-1)
	fmt.Printf("get: revision %d, %q %v\n", abi.Revision(value), value[8:], err)

	w.Value, w.Expect = []byte("\x06\x00\x00\x00\x00\x00\x00\x00ho"), int64(abi.Revision(value))
	fmt.Println("replace 5:", s.Set(ctx, w))
	fmt.Println("replace 5 again:", errors.Is(s.Set(ctx, w), store.ErrConflict))

	_, err = s.Get(ctx, key, now+minute)
	fmt.Println("a minute later:", err)
	// Output:
	// create: <nil>
	// create again: true
	// get: revision 5, "hi!" <nil>
	// replace 5: <nil>
	// replace 5 again: true
	// a minute later: store: no such record
}

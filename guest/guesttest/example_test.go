package guesttest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// A test can drive engines as the store that they are to a host.
func ExampleOpen() {
	ctx := context.Background()
	engine := func(string) guest.Engine { return new(shelf) }
	s, err := guesttest.Open(ctx, engine, guest.Info{Name: "shelf"}, map[string]string{"max_entries": "1"}, storetest.Setup{Shards: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close(ctx, s)

	fmt.Println(s.Set(ctx, store.Write{Key: []byte("key1"), Value: []byte("first"), Now: storetest.Now}))
	err = s.Set(ctx, store.Write{Key: []byte("key2"), Value: []byte("second"), Now: storetest.Now})
	fmt.Println(errors.Is(err, store.ErrNoSpace), err)
	// Output:
	// <nil>
	// true engine shelf: set in shard 0: NO_SPACE: the shelf is full: raise max_entries
}

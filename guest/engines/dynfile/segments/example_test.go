package segments_test

import (
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/dynfile/segments"
	"github.com/waddle-sessions/waddle/guest/engines/internal/vfs"
)

func Example() {
	dir, err := os.MkdirTemp("", "sessions-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	options := segments.Options{Shard: 0, Shards: 1, Random: rand.Uint64}
	store, err := segments.Open(vfs.OS(dir), options)
	if err != nil {
		panic(err)
	}
	now := int64(1_767_225_600_000)
	fmt.Println(store.Set(guest.Write{Key: []byte("key"), Value: []byte("value"), Expires: now + 60_000, Now: now}))
	fmt.Println(store.Save(now)) // it will survive a power loss now
	store.Close()

	store, err = segments.Open(vfs.OS(dir), options)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	value, err := store.Get([]byte("key"), now)
	fmt.Printf("%s %v\n", value, err)
	_, err = store.Get([]byte("key"), now+60_000)
	fmt.Println(err)
	// Output:
	// <nil>
	// <nil>
	// value <nil>
	// guest: NOT_FOUND
}

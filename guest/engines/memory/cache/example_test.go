package cache_test

import (
	"fmt"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/engines/memory/cache"
)

func Example() {
	c, err := cache.New(cache.Options{MaxBytes: 1 << 20, MaxEntries: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"a", "b", "c"} {
		if err := c.Set(guest.Write{Key: []byte(name), Value: []byte("value of " + name), Expires: 1000, Now: 1}); err != nil {
			fmt.Println(err)
		}
		_, _ = c.Get([]byte("a"), 2) // "a" is in use, so it stays
	}
	for _, name := range []string{"a", "b", "c"} {
		value, err := c.Get([]byte(name), 999)
		fmt.Printf("%q %v\n", value, err)
	}
	_, err = c.Get([]byte("a"), 1000)
	fmt.Println(err)

	// Output:
	// "value of a" <nil>
	// "" guest: NOT_FOUND
	// "value of c" <nil>
	// guest: NOT_FOUND
}

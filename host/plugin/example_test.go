package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

func Example() {
	ctx := context.Background()
	p, err := plugin.OpenFS(ctx, os.DirFS("testdata"), "store.wasm", plugin.Config{NoCache: true})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(ctx)

	now := store.At(time.Now())
	err = p.Set(ctx, store.Write{Key: []byte("greeting"), Value: []byte("revision hello"), Expires: now + 60_000, Now: now})
	if err != nil {
		log.Fatal(err)
	}
	value, err := p.Get(ctx, []byte("greeting"), now)
	fmt.Printf("%s %v\n", value[8:], err)
	_, err = p.Get(ctx, []byte("greeting"), now+60_000)
	fmt.Println(errors.Is(err, store.ErrNotFound))
	// Output:
	//  hello <nil>
	// true
}

// A guest is not trusted unless the config says so: each call has bounds. Exceeding one
// is an error of one operation.
func Example_untrusted() {
	ctx := context.Background()
	p, err := plugin.OpenFile(ctx, "testdata/hostile.wasm", plugin.Config{
		Fuel: 1_000_000, Shards: 1, NoCache: true, Logger: quiet().Logger,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close(ctx)

	const loops = 2 // this guest does what the time says
	_, err = p.Get(ctx, []byte("key"), loops)
	fmt.Println(err)
	fmt.Println(errors.Is(err, store.ErrUnavailable), errors.Is(err, plugin.ErrFuel))
	// Output:
	// plugin hostile.wasm: get in shard 0: the guest exceeded its fuel: a call used 1000001 units: may use 1000000
	// true true
}

func ExampleValidate() {
	wasm, err := os.ReadFile("testdata/export_signature.wasm")
	if err != nil {
		log.Fatal(err)
	}
	_, err = plugin.Validate(wasm)
	fmt.Println(err)
	// Output:
	// plugin: export missing or of another signature: "session_get" is a function (i32, i32, i32) -> i64: must be a function (i32, i32, i64) -> i64
}

package keyfolder_test

import (
	"context"
	"fmt"
	"os"

	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/plugin"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sessions")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	// Every write is on disk when it returns.
	engine, err := keyfolder.Open(ctx, dir, plugin.Config{Durability: plugin.DurabilityCommit})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(ctx)
	fmt.Println(engine.Info().Name, engine.Info().Shards)
	// Output: keyfolder 4
}

package loadtest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/loadtest"
	"github.com/waddle-sessions/waddle/host/store"
)

func Example() {
	report, err := loadtest.Run(context.Background(), loadtest.Plan{
		Targets: []loadtest.Target{{Name: "native", Open: func(context.Context, int) (loadtest.Opened, error) {
			s := store.NewMemory()
			return loadtest.Opened{Store: s, Shards: 1, MaxValue: 1 << 20, Close: func() error { return s.Close(context.Background()) }}, nil
		}}},
		Operations: []loadtest.Operation{loadtest.Get}, ValueSizes: []int{128}, Shards: []int{1}, Concurrency: []int{1},
		Duration: 10 * time.Millisecond, Rounds: 5,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range report.Figures {
		fmt.Println(f.Operation, f.ValueSize, "bytes,", len(f.Results[0].Rounds), "rounds")
	}
	// Output: get 128 bytes, 5 rounds
}

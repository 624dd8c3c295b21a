package storetest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// In a test, every check is a subtest.
func ExampleRun() {
	_ = func(t *testing.T) {
		storetest.Run(t, func(context.Context, storetest.Setup) (store.Store, error) {
			return store.NewMemory(), nil
		})
	}
}

// Outside of go test, Check returns a report.
func ExampleCheck() {
	open := func(context.Context, storetest.Setup) (store.Store, error) { return store.NewMemory(), nil }
	report := storetest.Check(context.Background(), open, storetest.Options{Only: []string{"expiry", "touch/extends"}})
	fmt.Println(report.Passed, "passed,", report.Failed, "failed")
	fmt.Println(report.Result("touch/extends").Requires)
	// Output:
	// 19 passed, 0 failed
	// session_touch gives an existing record a new expiry
}

// forgetful is a store whose records never expire.
type forgetful struct{ *store.Memory }

func (f forgetful) Get(ctx context.Context, key []byte, _ store.Millis) ([]byte, error) {
	return f.Memory.Get(ctx, key, 0)
}

// A failure says what was called, what came back, and what was expected.
func ExampleReport_WriteText() {
	open := func(context.Context, storetest.Setup) (store.Store, error) { return forgetful{store.NewMemory()}, nil }
	report := storetest.Check(context.Background(), open, storetest.Options{Target: "forgetful", Only: []string{"reopen/one-record", "touch/shortens"}, Seed: 1})
	report.Duration = 0
	_ = report.WriteText(os.Stdout)
	// Output:
	// forgetful, seed 1
	// fail  touch/shortens
	//       SPEC.md, 8. Optional exports: session_touch gives an existing record a new expiry
	//       called, where T is 1767225600000:
	//         open -> success
	//         set       key "key" (6b 65 79, 3 bytes), value "\x05\x00\x00\x00\x00\x00\x00\x00value" (05 00 00 00 00 00 00 00 76 61 6c 75 65, 13 bytes), expires T+100, now T, expect any -> success
	//         touch     key "key" (6b 65 79, 3 bytes), expires T+50, now T -> success
	//         get       key "key" (6b 65 79, 3 bytes), now T+49 -> "\x05\x00\x00\x00\x00\x00\x00\x00value" (05 00 00 00 00 00 00 00 76 61 6c 75 65, 13 bytes)
	//         get       key "key" (6b 65 79, 3 bytes), now T+50 -> "\x05\x00\x00\x00\x00\x00\x00\x00value" (05 00 00 00 00 00 00 00 76 61 6c 75 65, 13 bytes)
	//       found:    the value "\x05\x00\x00\x00\x00\x00\x00\x00value" (05 00 00 00 00 00 00 00 76 61 6c 75 65, 13 bytes)
	//       expected: NOT_FOUND
	//       seed:     1
	// skip  reopen/one-record: the store is not said to be durable
	// FAIL: 0 passed, 1 failed, 1 skipped in 0s
}

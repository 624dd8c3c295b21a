package plugintest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

// In a test, every check is a subtest.
func ExampleRun() {
	_ = func(t *testing.T) {
		plugintest.Run(t, "myplugin.wasm", plugintest.Options{
			Settings: map[string]string{"max_records": "100000"},
		})
	}
}

// Outside of go test, Check returns a report.
func ExampleCheck() {
	wasm, err := os.ReadFile("testdata/mutants/wasm/base.wasm")
	if err != nil {
		fmt.Println(err)
		return
	}
	report := plugintest.Check(context.Background(), wasm, plugintest.Options{
		Options: storetest.Options{Target: "base", Only: []string{"module/exports", "expiry/exact-millisecond"}},
	})
	fmt.Println(report.Target+":", report.Passed, "passed,", report.Failed, "failed")
	// Output: base: 2 passed, 0 failed
}

package inspect_test

import (
	"fmt"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/inspect"
)

func Example() {
	text := []byte("hello")
	report := inspect.Of("hello.wasm", text, int64(len(text)))
	fmt.Println(report.Accepted)
	for _, r := range report.Refused {
		fmt.Println(r.Kind)
	}
	// Output:
	// false
	// not a Waddle plugin
}

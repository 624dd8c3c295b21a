//go:build wasip1

package network

import (
	"runtime"
	"time"

	"github.com/waddle-sessions/waddle/guest/internal/background"
)

// moment is how long goroutines have while the host is idle. A call that comes meanwhile
// waits for its end.
const moment = 2 * time.Millisecond

func init() {
	background.Run = func() {
		if runtime.NumGoroutine() > 1 {
			time.Sleep(moment)
		}
	}
}

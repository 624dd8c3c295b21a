//go:build !wasip1

package guest

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
)

// Line is a log line of a native test.
type Line struct {
	Level int32
	Text  string
}

var recorder struct {
	mu    sync.Mutex
	lines []Line
	fail  string
}

// harnesses lets one harness run at a time.
var harnesses struct {
	mu      sync.Mutex
	serving atomic.Pointer[instance]
}

// serving is the instance whose engine is running.
func serving() *instance {
	if i := harnesses.serving.Load(); i != nil {
		return i
	}
	return &current
}

// maxRecorded is how many lines are kept for Logged.
const maxRecorded = 10_000

// Logged returns the lines that Log has been given since the last call, at most
// the first 10,000. It exists in native tests only, where there is no host to
// receive them.
func Logged() []Line {
	recorder.mu.Lock()
	defer recorder.mu.Unlock()
	lines := recorder.lines
	recorder.lines = nil
	return lines
}

func hostLog(level int32, line string) {
	recorder.mu.Lock()
	defer recorder.mu.Unlock()
	if len(recorder.lines) < maxRecorded {
		recorder.lines = append(recorder.lines, Line{level, line})
	}
}

func hostFail(message string) {
	recorder.mu.Lock()
	defer recorder.mu.Unlock()
	recorder.fail = message
}

func hostRandom(b []byte) { _, _ = rand.Read(b) } // it never fails

// address stands in for an address in linear memory, which a native program
// does not have. It is called only for the exchange buffer.
func address([]byte) uint32 { return 1 << 16 }

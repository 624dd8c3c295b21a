//go:build !wasip1

package guest

import (
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

// harnesses makes one call at a time of all that there are.
var harnesses struct {
	mu      sync.Mutex
	serving atomic.Pointer[instance]
}

// serving is the instance whose engine runs.
func serving() *instance {
	if i := harnesses.serving.Load(); i != nil {
		return i
	}
	return &current
}

// maxRecorded is how many lines are kept for Logged.
const maxRecorded = 10_000

// Logged returns the lines that Log was given since it was last called, the
// first 10,000 of them. It exists in native tests only, where there is no host
// to take them.
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

// address stands in for the place in linear memory that a native program does
// not have. Only the exchange buffer is asked for here.
func address([]byte) uint32 { return 1 << 16 }

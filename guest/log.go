package guest

import "github.com/waddle-sessions/waddle/abi"

// Levels of a log line.
const (
	LevelDebug = abi.LevelDebug
	LevelInfo  = abi.LevelInfo
	LevelWarn  = abi.LevelWarn
	LevelError = abi.LevelError
)

// Log writes a line to the host's log, which keeps its first 4096 bytes and may
// drop lines of a guest that writes too many. A line must not contain keys or
// values.
func Log(level int32, line string) { hostLog(level, line[:min(len(line), abi.MaxLog)]) }

package guest

import (
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
)

// Levels of a log line.
const (
	LevelDebug = abi.LevelDebug
	LevelInfo  = abi.LevelInfo
	LevelWarn  = abi.LevelWarn
	LevelError = abi.LevelError
)

// Log writes a line to the host's log. The host keeps its first 4096 bytes and
// may drop lines of a guest that writes too many. A line must not contain keys
// or values.
func Log(level int32, line string) { hostLog(level, line[:min(len(line), abi.MaxLog)]) }

// Debug writes a line of level debug to the host's log if [Debugging]. Otherwise
// it does nothing, and costs only the evaluation of its arguments. The parts are
// joined by spaces: strings, booleans, integers of all sizes and errors as they
// are, anything else as "?".
//
// A line must not contain keys or values, even in a development build.
func Debug(parts ...any) {
	if Debugging {
		debug(parts)
	}
}

func debug(parts []any) {
	line := make([]byte, 0, 128)
	for i, part := range parts {
		if i > 0 {
			line = append(line, ' ')
		}
		line = appendPart(line, part)
	}
	Log(LevelDebug, string(line))
}

func appendPart(line []byte, part any) []byte {
	switch v := part.(type) {
	case string:
		return append(line, v...)
	case error:
		return append(line, v.Error()...)
	case bool:
		return strconv.AppendBool(line, v)
	case int:
		return strconv.AppendInt(line, int64(v), 10)
	case int8:
		return strconv.AppendInt(line, int64(v), 10)
	case int16:
		return strconv.AppendInt(line, int64(v), 10)
	case int32:
		return strconv.AppendInt(line, int64(v), 10)
	case int64:
		return strconv.AppendInt(line, v, 10)
	case uint:
		return strconv.AppendUint(line, uint64(v), 10)
	case uint8:
		return strconv.AppendUint(line, uint64(v), 10)
	case uint16:
		return strconv.AppendUint(line, uint64(v), 10)
	case uint32:
		return strconv.AppendUint(line, uint64(v), 10)
	case uint64:
		return strconv.AppendUint(line, v, 10)
	}
	return append(line, '?')
}

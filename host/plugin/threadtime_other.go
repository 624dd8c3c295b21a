//go:build !linux && !darwin

package plugin

import "time"

// threadLap returns how long this goroutine has run in a lap that took that long on the
// wall, as well as can be told here.
func (s *stopwatch) threadLap(wall time.Duration) time.Duration { return min(wall, longestLap) }

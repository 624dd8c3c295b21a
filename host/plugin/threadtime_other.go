//go:build !linux && !darwin

package plugin

import "time"

// lap returns how long this goroutine has run since the last lap, as well as can be
// told here.
func (s *stopwatch) lap() time.Duration { return s.wallLap() }

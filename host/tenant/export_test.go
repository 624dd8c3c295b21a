package tenant

import (
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// WithClock returns the config with a clock for the host and its plugins.
func (c HostConfig) WithClock(now func() time.Time) HostConfig {
	c.clock = now
	return c
}

// Tuned returns the config with a function that changes what plugins are opened with.
func (c HostConfig) Tuned(f func(*plugin.Config)) HostConfig {
	c.tune = f
	return c
}

package network

import "time"

// Portable makes the connections of a config those of systems where calls cannot be kept
// from waiting.
func Portable(c Config) Config {
	c.portable = true
	return c
}

// Allowed returns what was granted.
func (n *Network) Allowed() []string { return n.config.Allow }

// Lingering makes what was written have that much time to be sent after Close.
func Lingering(c Config, d time.Duration) Config {
	c.linger = d
	return c
}

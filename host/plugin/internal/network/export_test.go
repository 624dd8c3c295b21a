package network

// Portable makes the connections of a config those of systems where calls cannot be kept
// from waiting.
func Portable(c Config) Config {
	c.portable = true
	return c
}

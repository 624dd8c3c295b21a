package resp

// Held returns the size of the buffers.
func Held(c *Conn) int { return cap(c.in) + cap(c.out) }

package resp

import "strconv"

// Do appends a command whose arguments are strings.
func (c *Conn) Do(args ...string) {
	c.Begin(len(args))
	for _, arg := range args {
		c.Text(arg)
	}
}

// Begin begins a command of n arguments, its name included, at least 1. As many
// arguments must follow: Text, Bytes and Int append one each. Beginning another command
// before that is a mistake of the program, and panics.
func (c *Conn) Begin(n int) {
	if c.open != 0 || n < 1 {
		panic("resp: a command has another number of arguments than it was begun with")
	}
	c.open = n
	c.appended++
	if c.err != nil {
		return
	}
	if c.out == nil {
		c.out = make([]byte, 0, usualOut)
	}
	c.out = header(c.out, '*', n)
}

// Text appends an argument.
func (c *Conn) Text(arg string) {
	if c.err == nil {
		c.out = header(c.out, '$', len(arg))
		c.out = append(c.out, arg...)
	}
	c.ended()
}

// Bytes appends an argument. A large one is written at once, so it may change when
// Bytes has returned.
func (c *Conn) Bytes(arg []byte) {
	if c.err == nil {
		c.out = header(c.out, '$', len(arg))
		if len(arg) < directAt {
			c.out = append(c.out, arg...)
		} else {
			c.write()
			c.direct(arg)
		}
	}
	c.ended()
}

// Parts appends one argument that consists of several pieces.
func (c *Conn) Parts(parts ...[]byte) {
	if c.err == nil {
		n := 0
		for _, part := range parts {
			n += len(part)
		}
		c.out = header(c.out, '$', n)
		for _, part := range parts {
			if c.err != nil {
				break
			}
			if len(part) < directAt {
				c.out = append(c.out, part...)
			} else {
				c.write()
				c.direct(part)
			}
		}
	}
	c.ended()
}

// Int appends a number as an argument.
func (c *Conn) Int(arg int64) {
	if c.err == nil {
		var digits [20]byte
		text := strconv.AppendInt(digits[:0], arg, 10)
		c.out = header(c.out, '$', len(text))
		c.out = append(c.out, text...)
	}
	c.ended()
}

// Flush writes what was appended and not written yet.
func (c *Conn) Flush() error {
	if c.open != 0 {
		panic("resp: a command lacks arguments")
	}
	if c.err == nil && len(c.out) > 0 {
		c.write()
	}
	return c.err
}

// ended closes an argument.
func (c *Conn) ended() {
	if c.open == 0 {
		panic("resp: a command has more arguments than it was begun with")
	}
	c.open--
	if c.err != nil {
		return
	}
	c.out = append(c.out, '\r', '\n')
	if c.open == 0 {
		c.ends = append(c.ends, len(c.out))
	}
	if len(c.out) >= flushAt {
		c.write()
	}
}

// write empties the buffer into the stream.
func (c *Conn) write() {
	n, err := c.stream.Write(c.out)
	for _, end := range c.ends {
		if end <= n {
			c.sent++
		}
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.ends = c.ends[:0]
	if cap(c.out) > keepOut {
		c.out = make([]byte, 0, usualOut)
	}
	c.out = c.out[:0]
}

func (c *Conn) direct(arg []byte) {
	if c.err != nil {
		return
	}
	if _, err := c.stream.Write(arg); err != nil {
		c.fail(err)
	}
}

func header(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	if n < 10 {
		b = append(b, '0'+byte(n))
	} else {
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return append(b, '\r', '\n')
}

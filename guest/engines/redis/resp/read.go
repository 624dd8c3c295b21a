package resp

import (
	"bytes"
	"io"
)

// longestLine bounds what stands before CRLF: a number, a status or an error.
const longestLine = 8 << 10

// Read waits for the answer to the next command. An error that the server answered is
// a Reply, not an error of Read. After an error of Read the connection is closed.
// Commands that were not flushed are flushed first.
func (c *Conn) Read() (Reply, error) {
	if err := c.Flush(); err != nil {
		return Reply{}, err
	}
	if c.answered == c.appended {
		return Reply{}, c.fail(ErrUnexpected)
	}
	c.begin()
	r, err := c.reply(c.limits.Depth)
	if err != nil {
		return Reply{}, c.fail(err)
	}
	c.answered++
	c.large = c.at-c.from > keepIn
	c.place(&r)
	for i := range c.elements {
		c.place(&c.elements[i])
	}
	return r, nil
}

// begin forgets the last reply.
func (c *Conn) begin() {
	c.from = c.at
	switch {
	case c.in == nil:
		c.in = make([]byte, usualIn)
	case len(c.in) > keepIn && !c.large && c.end-c.from < usualIn:
		usual := make([]byte, usualIn)
		c.from, c.at, c.end = 0, 0, copy(usual, c.in[c.from:c.end])
		c.in = usual
	case c.from == c.end:
		c.from, c.at, c.end = 0, 0, 0
	}
	c.elements = c.elements[:0]
}

// place makes a reply refer to memory that no longer moves.
func (c *Conn) place(r *Reply) {
	switch r.Kind {
	case Array:
		r.Elements = c.elements[r.from : r.from+r.length : r.from+r.length]
	case Status, Failed, Bulk:
		from := c.from + r.from
		r.Text = c.in[from : from+r.length : from+r.length]
	}
}

func (c *Conn) reply(depth int) (Reply, error) {
	begins := c.at - c.from // the buffer may move
	length, err := c.line()
	if err != nil {
		return Reply{}, err
	}
	line := c.in[c.from+begins : c.from+begins+length]
	if len(line) == 0 {
		return Reply{}, ErrMalformed
	}
	text := line[1:]
	switch line[0] {
	case '+':
		return Reply{Kind: Status, from: begins + 1, length: len(text)}, nil
	case '-':
		return Reply{Kind: Failed, from: begins + 1, length: len(text)}, nil
	case ':':
		n, ok := number(text)
		if !ok {
			return Reply{}, ErrMalformed
		}
		return Reply{Kind: Int, Int: n}, nil
	case '$':
		return c.bulk(text)
	case '*':
		return c.array(text, depth)
	}
	return Reply{}, ErrMalformed
}

func (c *Conn) bulk(text []byte) (Reply, error) {
	n, ok := number(text)
	switch {
	case ok && n == -1:
		return Reply{}, nil
	case !ok || n < 0:
		return Reply{}, ErrMalformed
	case n > int64(c.limits.Bytes-(c.at-c.from)-2):
		return Reply{}, ErrTooLarge
	}
	begins := c.at - c.from
	if err := c.need(int(n) + 2); err != nil {
		return Reply{}, err
	}
	c.at += int(n) + 2
	if c.in[c.at-2] != '\r' || c.in[c.at-1] != '\n' {
		return Reply{}, ErrMalformed
	}
	return Reply{Kind: Bulk, from: begins, length: int(n)}, nil
}

func (c *Conn) array(text []byte, depth int) (Reply, error) {
	n, ok := number(text)
	switch {
	case ok && n == -1:
		return Reply{}, nil
	case !ok || n < 0:
		return Reply{}, ErrMalformed
	case depth == 0 || n > int64(c.limits.Elements-len(c.elements)):
		return Reply{}, ErrTooLarge
	}
	first := len(c.elements)
	for range n { // elements stay in one piece; what they contain comes after them
		c.elements = append(c.elements, Reply{})
	}
	for i := range int(n) {
		element, err := c.reply(depth - 1)
		if err != nil {
			return Reply{}, err
		}
		c.elements[first+i] = element
	}
	return Reply{Kind: Array, Int: n, from: first, length: int(n)}, nil
}

// line reads to the end of a line and returns its length without CRLF.
func (c *Conn) line() (int, error) {
	for seen := 0; ; {
		arrived := c.in[c.at:c.end]
		if i := bytes.IndexByte(arrived[seen:], '\n'); i >= 0 {
			n := seen + i
			switch {
			case n == 0 || arrived[n-1] != '\r':
				return 0, ErrMalformed
			case n > longestLine || c.at-c.from+n >= c.limits.Bytes:
				return 0, ErrTooLarge
			}
			c.at += n + 1
			return n - 1, nil
		}
		if seen = len(arrived); seen > longestLine || c.at-c.from+seen >= c.limits.Bytes {
			return 0, ErrTooLarge
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// need waits until n bytes are there.
func (c *Conn) need(n int) error {
	if short := c.at + n - len(c.in); short > 0 {
		c.room(c.at - c.from + n)
	}
	for c.end-c.at < n {
		if err := c.fill(); err != nil {
			return err
		}
	}
	return nil
}

// room makes the buffer hold a reply of n bytes, at least.
func (c *Conn) room(n int) {
	if n <= len(c.in) {
		copy(c.in, c.in[c.from:c.end])
	} else {
		grown := make([]byte, max(n, min(2*len(c.in), c.limits.Bytes)))
		copy(grown, c.in[c.from:c.end])
		c.in = grown
	}
	c.at, c.end, c.from = c.at-c.from, c.end-c.from, 0
}

// fill reads what the stream has.
func (c *Conn) fill() error {
	if c.end == len(c.in) {
		c.room(c.end - c.from + 1)
	}
	n, err := c.stream.Read(c.in[c.end:])
	c.end += n
	switch {
	case n > 0:
		return nil // an error comes again
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}

// number reads a decimal number as servers write it.
func number(text []byte) (int64, bool) {
	digits := text
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		digits = text[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	n := uint64(0)
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + uint64(d-'0')
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), n > 0
	case !negative && n < 1<<63:
		return int64(n), true
	}
	return 0, false
}

package backend

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// RedisError is an error that a server has answered, such as "NOAUTH Authentication required."
type RedisError string

func (e RedisError) Error() string { return string(e) }

// endpoint is how tests themselves speak to a server.
type endpoint struct {
	network, address string
	tls              *tls.Config
	user, password   string
}

// command sends one command over a connection of its own.
func (e endpoint) command(args ...string) (any, error) {
	c, err := e.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.command(args...)
}

func (e endpoint) dial() (*client, error) {
	dialer := net.Dialer{Timeout: clientTimeout}
	conn, err := dialer.Dial(e.network, e.address)
	if err != nil {
		return nil, err
	}
	if e.tls != nil {
		conn = tls.Client(conn, e.tls)
	}
	c := &client{conn: conn, r: bufio.NewReader(conn)}
	if e.password != "" {
		args := []string{"AUTH", e.user, e.password}
		if e.user == "" {
			args = []string{"AUTH", e.password}
		}
		if _, err := c.command(args...); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	return c, nil
}

// clientTimeout is how long a server may take to answer a command of a test.
const clientTimeout = 20 * time.Second

type client struct {
	conn net.Conn
	r    *bufio.Reader
}

func (c *client) Close() { _ = c.conn.Close() }

func (c *client) command(args ...string) (any, error) {
	if err := c.conn.SetDeadline(time.Now().Add(clientTimeout)); err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		request = fmt.Appendf(request, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	answer, err := c.read()
	if e := RedisError(""); err == nil && errors.As(asError(answer), &e) {
		return nil, e
	}
	return answer, err
}

func asError(answer any) error {
	err, _ := answer.(error)
	return err
}

// read returns a string, an int64, nil, a list of such, or a RedisError.
func (c *client) read() (any, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 {
		return nil, fmt.Errorf("the server answers %q, which is not RESP", line)
	}
	kind, text := line[0], line[1:len(line)-2]
	switch kind {
	case '+':
		return text, nil
	case '-':
		return RedisError(text), nil
	case ':':
		return strconv.ParseInt(text, 10, 64)
	}
	n, err := strconv.Atoi(text)
	if err != nil || kind != '$' && kind != '*' {
		return nil, fmt.Errorf("the server answers %q, which is not RESP", line)
	}
	if n < 0 {
		return nil, nil
	}
	if kind == '$' {
		body := make([]byte, n+2)
		_, err := io.ReadFull(c.r, body)
		return string(body[:n]), err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = c.read(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/network"
)

// One command at a time, without goroutines: Blocking is the cheapest way to wait.
var dialer = network.Dialer{Blocking: true, Timeout: timeout}

const timeout = 2 * time.Second

// call sends a command and returns what Redis answers, nil for nothing. The answer is valid until
// the next call.
func (e *engine) call(args ...[]byte) ([]byte, error) {
	if e.conn == nil || !e.conn.Alive() { // the server may have closed it while it was idle
		if err := e.connect(); err != nil {
			return nil, guest.Fail(guest.ErrUnavailable, err.Error())
		}
	}
	e.command = append(strconv.AppendInt(append(e.command[:0], '*'), int64(len(args)), 10), "\r\n"...)
	for _, arg := range args {
		e.command = append(strconv.AppendInt(append(e.command, '$'), int64(len(arg)), 10), "\r\n"...)
		e.command = append(append(e.command, arg...), "\r\n"...)
	}
	_ = e.conn.SetDeadline(time.Now().Add(timeout))
	if _, err := e.conn.Write(e.command); err != nil {
		return nil, e.lost(err)
	}
	return e.receive()
}

func (e *engine) connect() error {
	if e.conn != nil {
		_ = e.conn.Close()
		e.conn = nil
	}
	conn, err := dialer.Dial(e.network, e.address)
	if err != nil {
		return err
	}
	e.conn = conn.(*network.Conn)
	e.in = bufio.NewReader(conn)
	return nil
}

func (e *engine) receive() ([]byte, error) {
	line, err := e.in.ReadSlice('\n')
	if err != nil {
		return nil, e.lost(err)
	}
	kind, text := line[0], bytes.TrimRight(line[1:], "\r\n")
	switch kind {
	case '-': // only the first word: the rest may have a key
		word, _, _ := bytes.Cut(text, []byte(" "))
		return nil, guest.Fail(guest.ErrUnavailable, string(word))
	case '$':
		n, err := strconv.Atoi(string(text))
		if n < 0 {
			return nil, nil
		}
		if err != nil || n > 8+info.MaxValue { // before it is allocated
			return nil, e.lost(errors.New("the server has more than was stored"))
		}
		if need := n + len("\r\n"); need > len(e.answer) {
			e.answer = make([]byte, need)
		}
		if _, err := io.ReadFull(e.in, e.answer[:n+len("\r\n")]); err != nil {
			return nil, e.lost(err)
		}
		return e.answer[:n], nil
	}
	return text, nil
}

// lost ends the connection: an answer that comes later must not be taken for another's.
// Nobody knows whether the command was done, which UNAVAILABLE says.
func (e *engine) lost(err error) error {
	_ = e.conn.Close()
	e.conn = nil
	return guest.Fail(guest.ErrUnavailable, err.Error())
}

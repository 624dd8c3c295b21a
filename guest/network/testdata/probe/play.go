package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/waddle-sessions/waddle/guest/network"
)

// play is one scene under way, and what it tells.
type play struct {
	engine           *engine
	dialer           network.Dialer
	network, address string
	more             string
	told             bytes.Buffer
}

// tell adds a line.
func (p *play) tell(format string, args ...any) { fmt.Fprintf(&p.told, format+"\n", args...) }

// dial connects, and tells if it fails.
func (p *play) dial() *network.Conn {
	conn, err := p.dialer.Dial(p.network, p.address)
	if err != nil {
		p.fails("dial", err)
		return nil
	}
	return conn.(*network.Conn)
}

// fails tells of an error what programs look for.
func (p *play) fails(what string, err error) {
	kind := "other"
	for _, k := range []struct {
		name string
		err  error
	}{
		{"nil", nil}, {"EOF", io.EOF}, {"closed", net.ErrClosed}, {"deadline", os.ErrDeadlineExceeded},
		{"refused", syscall.ECONNREFUSED}, {"reset", syscall.ECONNRESET}, {"pipe", syscall.EPIPE}, {"access", syscall.EACCES},
		{"protocol", syscall.EPROTO}, {"timed out", syscall.ETIMEDOUT}, {"many", syscall.EMFILE},
		{"unreachable", syscall.EHOSTUNREACH}, {"invalid", syscall.EINVAL},
	} {
		if errors.Is(err, k.err) {
			kind = k.name
			break
		}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		kind += ", timeout"
	}
	p.tell("%s: %s: %v", what, kind, err)
}

// exchange sends a line and reads one of the same length, or tells why not.
func (p *play) exchange(conn net.Conn, line string) bool {
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		p.fails("write", err)
		return false
	}
	got := make([]byte, len(line)+1)
	if _, err := io.ReadFull(conn, got); err != nil {
		p.fails("read", err)
		return false
	}
	if string(got) != line+"\n" {
		p.tell("read %q, want %q", got, line)
		return false
	}
	return true
}

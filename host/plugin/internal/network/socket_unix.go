//go:build unix

package network

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

func (s *socket) init() {
	c, ok := s.conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	s.raw = raw
	s.in.wait, s.out.wait = s.in.receive, s.out.send
	s.in.try = func(fd uintptr) { s.in.receive(fd) }
	s.out.try = func(fd uintptr) { s.out.send(fd) }
}

// maxCall is how many bytes one call of the system is given. Some systems take no more
// than a signed integer of 32 bits can say.
const maxCall = 1 << 30

// receive reads once. It returns false if there is nothing.
func (d *side) receive(fd uintptr) bool {
	for {
		n, err := syscall.Read(int(fd), d.p[:min(len(d.p), maxCall)])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			d.err = errAgain
			return false
		case err != nil:
			d.err = err
		case n == 0:
			d.err = io.EOF
		default:
			d.n, d.err = n, nil
		}
		return true
	}
}

// send writes what there is room for. It returns false if something is left. Without
// anything to write, it returns whether there is room.
func (d *side) send(fd uintptr) bool {
	d.err = nil
	if len(d.p) == 0 && !hasRoom(fd) {
		d.err = errAgain
		return false
	}
	for d.n < len(d.p) {
		n, err := syscall.Write(int(fd), d.p[d.n:min(len(d.p), d.n+maxCall)])
		d.n += max(n, 0)
		switch {
		case err == nil || err == syscall.EINTR:
		case err == syscall.EAGAIN:
			d.err = errAgain
			return false
		default:
			d.err = err
			return true
		}
	}
	return true
}

// hasRoom reports whether a write would not wait.
func hasRoom(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(fds[:], 0)
		if err != unix.EINTR {
			return n > 0 || err != nil // the write itself tells what is wrong
		}
	}
}

func (s *socket) tryRead(p []byte) (int, error) {
	s.in.p, s.in.n = p, 0
	err := s.raw.Control(s.in.try)
	return s.in.result(err)
}

func (s *socket) waitRead(p []byte) (int, error) {
	if s.raw == nil {
		return s.conn.Read(p)
	}
	s.in.p, s.in.n = p, 0
	err := s.raw.Read(s.in.wait)
	return s.in.result(err)
}

func (s *socket) tryWrite(p []byte) (int, error) {
	s.out.p, s.out.n = p, 0
	err := s.raw.Control(s.out.try)
	return s.out.result(err)
}

func (s *socket) waitWrite(p []byte) (int, error) {
	if s.raw == nil {
		return s.conn.Write(p)
	}
	s.out.p, s.out.n = p, 0
	err := s.raw.Write(s.out.wait)
	return s.out.result(err)
}

// result returns what a call did; err is that of the runtime.
func (d *side) result(err error) (int, error) {
	d.p = nil
	if err != nil {
		return d.n, err
	}
	return d.n, d.err
}

package main

import (
	"fmt"
	"io"
	"unsafe"
)

//go:wasmimport waddle_v1 dial
func hostDial(address unsafe.Pointer, size uint32) int32

//go:wasmimport waddle_v1 conn_wait
func hostWait(conn, events int32, timeout int64) int32

//go:wasmimport waddle_v1 conn_read
func hostRead(conn int32, to unsafe.Pointer, size uint32, timeout int64) int32

//go:wasmimport waddle_v1 conn_write
func hostWrite(conn int32, from unsafe.Pointer, size uint32, timeout int64) int32

//go:wasmimport waddle_v1 conn_start_tls
func hostStartTLS(conn int32, name unsafe.Pointer, size uint32) int32

//go:wasmimport waddle_v1 conn_error
func hostError(conn int32, to unsafe.Pointer, size uint32) int32

//go:wasmimport waddle_v1 conn_close
func hostClose(conn int32) int32

// errno is an error number, in words where the host has some.
type errno struct {
	what  string
	n     int32
	words string
}

func (e *errno) Error() string { return fmt.Sprintf("%s: errno %d: %s", e.what, e.n, e.words) }

func failed(what string, conn, n int32) error {
	var words [512]byte
	said := hostError(conn, unsafe.Pointer(&words), uint32(len(words)))
	return &errno{what, -n, string(words[:max(said, 0)])}
}

// dialed is a connection that is used by the functions of the host alone.
type dialed int32

func begin(address string) (dialed, error) {
	b := []byte(address)
	n := hostDial(unsafe.Pointer(&b[0]), uint32(len(b)))
	if n < 0 {
		return 0, failed("dial", -1, n)
	}
	return dialed(n), nil
}

func dial(address string) (dialed, error) {
	c, err := begin(address)
	if err != nil {
		return 0, err
	}
	if n := hostWait(int32(c), 2, -1); n < 0 {
		err := failed("connect", int32(c), n)
		hostClose(int32(c))
		return 0, err
	}
	return c, nil
}

func (c dialed) Read(p []byte) (int, error) { return c.read(p, -1) }

func (c dialed) read(p []byte, timeout int64) (int, error) {
	n := hostRead(int32(c), unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)), timeout)
	switch {
	case n < 0:
		return 0, failed("read", int32(c), n)
	case n == 0:
		return 0, io.EOF
	}
	return int(n), nil
}

func (c dialed) Write(p []byte) (done int, err error) {
	for done < len(p) {
		n := hostWrite(int32(c), unsafe.Pointer(&p[done]), uint32(len(p)-done), -1)
		if n < 0 {
			return done, failed("write", int32(c), n)
		}
		done += int(n)
	}
	return done, nil
}

func (c dialed) startTLS(name string) error {
	b := append([]byte(name), 0)
	if n := hostStartTLS(int32(c), unsafe.Pointer(&b[0]), uint32(len(name))); n < 0 {
		return failed("start_tls", int32(c), n)
	}
	if n := hostWait(int32(c), 2, -1); n < 0 {
		return failed("handshake", int32(c), n)
	}
	return nil
}

func (c dialed) Close() error {
	if n := hostClose(int32(c)); n < 0 {
		return failed("close", int32(c), n)
	}
	return nil
}

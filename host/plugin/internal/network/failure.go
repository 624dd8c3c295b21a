package network

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
)

// failure is an error as a guest gets it: a number, and words without secrets.
type failure struct {
	errno int32
	words string
}

// refusal is the error of an address that is not granted.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// failed returns what an error means, or nil for nil. What a guest is told does not say
// which address a name has.
func failed(err error) *failure {
	if err == nil {
		return nil
	}
	if r := (*refusal)(nil); errors.As(err, &r) {
		return &failure{abi.ErrnoAccess, "the name leads to an address that is not granted"}
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		for _, e := range systemErrors {
			if slices.Contains(e.of, errno) {
				return &failure{e.errno, e.words}
			}
		}
		return &failure{abi.ErrnoUnreachable, clean(errno.Error())}
	}
	switch {
	case timedOut(err):
		return &failure{abi.ErrnoUnreachable, "no answer in time"}
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return &failure{abi.ErrnoReset, "the host closed the connection"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{abi.ErrnoReset, "the other side closed the connection"}
	case errors.Is(err, errStuck), errors.Is(err, errLinger):
		return &failure{abi.ErrnoReset, err.Error()}
	}
	if e := (*net.OpError)(nil); errors.As(err, &e) && (e.Source != nil || e.Addr != nil) {
		err = e.Err // without the addresses
	}
	// What is left comes from TLS, which says what is wrong with what was sent.
	return &failure{abi.ErrnoProtocol, "TLS failed: " + clean(strings.TrimPrefix(err.Error(), "tls: "))}
}

func timedOut(err error) bool {
	e := net.Error(nil)
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &e) && e.Timeout()
}

// unresolved returns what an error of a lookup means, without the address of the server
// that was asked.
func unresolved(err error) *failure {
	words := "the name could not be resolved"
	if e := (*net.DNSError)(nil); errors.As(err, &e) && e.IsNotFound {
		words = "the name does not exist, or has no address"
	} else if timedOut(err) {
		words = "the name could not be resolved in time"
	}
	return &failure{abi.ErrnoUnreachable, words}
}

// maxWords is the longest failure in words. The other side's certificate may say anything.
const maxWords = 300

func clean(words string) string {
	return printable.Clean(string(printable.Cut([]byte(words), maxWords)))
}

// failed counts a connection that was not made, and tells of it. One that was refused is
// counted where that was found out.
func (n *Network) failed(address string, f *failure) {
	if f.errno == abi.ErrnoAccess {
		return
	}
	n.counts.failed.Add(1)
	n.tell(Event{Address: address, Why: f.words})
}

// quote makes an address printable that is none. It may have been written with a password,
// which is left out.
func quote(text string) string {
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		scheme, _, ok := strings.Cut(text, "://")
		if !ok || len(scheme) > i {
			scheme = ""
		} else {
			scheme += "://"
		}
		text = scheme + "…" + text[i:]
	}
	return strconv.Quote(text[:min(len(text), maxAddress)])
}

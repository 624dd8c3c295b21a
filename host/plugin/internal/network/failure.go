package network

import (
	"context"
	"errors"
	"strconv"
	"syscall"

	"github.com/waddle-sessions/waddle/abi"
)

// failure is an error as a guest gets it: a number, and words without secrets.
type failure struct {
	errno int32
	words string
}

// refusal is an error of an address that is not granted.
type refusal struct{ why string }

func (r *refusal) Error() string { return "not granted: " + r.why }

// failed returns what an error of a socket means, or nil for nil.
func failed(err error) *failure {
	var r *refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return &failure{abi.ErrnoAccess, "not granted"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &failure{abi.ErrnoRefused, "connection refused"}
	case errors.Is(err, syscall.ECONNRESET):
		return &failure{abi.ErrnoReset, "connection reset"}
	case errors.Is(err, syscall.EPIPE):
		return &failure{abi.ErrnoPipe, "the connection was closed"}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{abi.ErrnoUnreachable, "no answer in time"}
	}
	return &failure{abi.ErrnoReset, err.Error()}
}

// failed counts a connection that was not made, and tells of it.
func (n *Network) failed(address string, f *failure) {
	if f.errno == abi.ErrnoAccess {
		return // refused, and counted as such
	}
	n.counts.failed.Add(1)
	n.tell(Event{Address: address, Why: f.words})
}

// quote makes what a guest says printable.
func quote(text string) string { return strconv.Quote(text[:min(len(text), maxAddress)]) }

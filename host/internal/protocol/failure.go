package protocol

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/abi"
)

// Failure is an operation that failed in the guest, with a code that it answered or
// with a fault of a Kind. [Config].Fail turns it into the error that callers get.
type Failure struct {
	Plugin     string
	Op         string // "get", "set", …; "open" if an instance could not be opened
	Shard      int    // or NoShard
	Code       abi.Code
	Kind       error
	Message    string
	Trace      string
	Output     string
	ExitCode   uint32
	RetryAfter time.Duration // until the shard gets a new instance, if it has none
	Limit      Limit         // that was exceeded, "" for none
	Allowed    int64         // as in [Fault]
	Used       int64
}

// NoShard is the shard of an operation that was refused before it had one.
const NoShard = -1

// Text describes the failure in one line.
func (f *Failure) Text() string {
	var b strings.Builder
	switch {
	case f.Kind == nil:
		b.WriteString(f.Code.String())
	case f.Kind == ErrExit:
		fmt.Fprintf(&b, "the guest exited with code %d", f.ExitCode)
	case f.Kind == ErrBackoff:
		fmt.Fprintf(&b, "the guest is in backoff after a failure, next attempt in %v", f.RetryAfter)
	case f.Kind == ErrRate:
		fmt.Fprintf(&b, "the guest has used its fuel faster than it may: it may use %d units per second, and may compute again in %v",
			f.Allowed, f.RetryAfter)
	default:
		b.WriteString(strings.TrimPrefix(strings.TrimPrefix(f.Kind.Error(), "plugin: "), "store: "))
	}
	if f.Message != "" {
		b.WriteString(": ")
		b.WriteString(f.Message)
	}
	return b.String()
}

// Failure describes an error of an instance of a shard.
func (st *Store) Failure(op string, shard int, err error) *Failure {
	e := &Failure{Plugin: st.Name(), Op: op, Shard: shard}
	var f *Fault
	var a *Answer
	switch code, ok := CodeOf(err); {
	case errors.As(err, &f):
		e.Kind, e.Message, e.Trace, e.Output, e.ExitCode = f.Kind, f.Message, f.Trace, f.Output, f.ExitCode
		e.Limit, e.Allowed, e.Used = f.Limit, f.Allowed, f.Used
	case errors.As(err, &a):
		e.Code, e.Message = a.Code, a.Message
		if a.Refused != nil {
			e.Code, e.Kind = 0, a.Refused
			e.Limit, e.Allowed, e.Used = a.Limit, a.Allowed, a.Used
		}
	case ok:
		e.Code = code
	default:
		e.Kind, e.Message = ErrProtocol, err.Error()
	}
	return e
}

package protocol

import (
	"errors"
	"fmt"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
)

// Instance is one running guest: the exports of abi/SPEC.md. Its calls are made one
// at a time.
//
// If the guest answered an error, it is [store.ErrNotFound], [store.ErrConflict] or
// an [*Answer], and the instance lives on. Anything else, usually a [*Fault], ends
// the instance. The method of an export that the guest lacks returns [Absent].
//
// Results are valid until the next call. Methods do not keep their arguments.
type Instance interface {
	// Initialize, Describe and Open are called once each, in this order, before
	// anything else.
	Initialize() error
	Describe() (pairs []byte, err error)
	Open(pairs []byte) error

	Get(key []byte, now store.Millis) ([]byte, error)
	Set(w store.Write) error
	Touch(key []byte, expires, now store.Millis) error
	Delete(key []byte, now store.Millis) error
	Clear(now store.Millis) error
	Save(now store.Millis) error

	Sweep(most int, now store.Millis) (removed int64, err error)
	Flush(most int, now store.Millis) (left int64, err error)
	Keys(cursor int64, now store.Millis) (next int64, list []byte, err error)
	Snapshot(cursor int64, now store.Millis) (next int64, list []byte, err error)
	// Restore may take longer while the instance is being opened.
	Restore(list []byte, now store.Millis, opening bool) error
	Stats() (pairs []byte, err error)

	// Memory is how many bytes of memory the instance has taken, and Fuel how much fuel
	// its calls have used, 0 if it is not metered. Both are asked for statistics; a [Registered]
	// instance tells of its fuel in the register after each call.
	Memory() int64
	Fuel() uint64
	// Output is the end of the instance's output, for the error of a failure.
	Output() string
	// Close releases everything. The instance may have failed at any point.
	Close()
}

// Answer is an error code that the guest answered.
type Answer struct {
	Code    abi.Code
	Message string // the guest's own
	// NoBuffer says that the call was not made: the guest has no exchange buffer
	// for its arguments.
	NoBuffer bool
	// Refused is why the host did not make the call, with the limit that it would have
	// exceeded, or nil. The guest knows nothing of it.
	Refused       error
	Limit         Limit
	Allowed, Used int64
}

// Error implements error.
func (a *Answer) Error() string { return a.Code.String() + ": " + a.Message }

// Absent is returned when the guest lacks the export.
var Absent = &Answer{Code: abi.Unsupported, Message: "the guest does not export it"}

// AnswerOf returns the error of a code that the guest answered. The two everyday
// ones allocate nothing.
func AnswerOf(code abi.Code, message string) error {
	if code < abi.Internal {
		code = abi.Internal
	}
	switch {
	case code == abi.NotFound:
		return store.ErrNotFound
	case code == abi.Conflict && message == "":
		return store.ErrConflict
	}
	return &Answer{Code: code, Message: message}
}

// CodeOf returns the code of an error of an [Instance], if the guest answered one.
func CodeOf(err error) (abi.Code, bool) {
	switch err {
	case nil:
		return 0, false
	case store.ErrNotFound:
		return abi.NotFound, true
	case store.ErrConflict:
		return abi.Conflict, true
	}
	if a, ok := err.(*Answer); ok { // they are never wrapped
		return a.Code, true
	}
	return 0, false
}

// Fault is a failure that ends the instance.
type Fault struct {
	Kind     error // one of the errors of this package
	Message  string
	Trace    string // the guest's call stack, a function per line
	Output   string
	ExitCode uint32

	// Limit is the limit that a call exceeded, "" for none. Allowed and Used are what it
	// says and what there was: nanoseconds of time, units of fuel, and bytes of stack and
	// results.
	Limit         Limit
	Allowed, Used int64
}

// Error implements error.
func (f *Fault) Error() string { return f.Kind.Error() + ": " + f.Message }

// Unwrap returns the kind.
func (f *Fault) Unwrap() error { return f.Kind }

// Left is the error of a call that did not run, because its caller left.
type Left struct{ Err error } // of the context

// Error implements error.
func (l *Left) Error() string { return l.Err.Error() }

// Broken returns the fault for a result that breaks the contract.
func Broken(format string, args ...any) *Fault {
	return &Fault{Kind: ErrProtocol, Message: fmt.Sprintf(format, args...)}
}

// Reasons why an instance ended or a call was not made.
var (
	ErrTrap     = errors.New("plugin: the guest trapped")
	ErrExit     = errors.New("plugin: the guest exited")
	ErrDeadline = errors.New("plugin: the guest exceeded its deadline")
	ErrFuel     = errors.New("plugin: the guest exceeded its fuel")
	ErrDepth    = errors.New("plugin: the guest's calls are nested too deep")
	ErrRate     = errors.New("plugin: the guest has used its fuel faster than it may")
	ErrMemory   = errors.New("plugin: the guest pointed outside its memory")
	ErrProtocol = errors.New("plugin: the guest broke the contract")
	ErrBusy     = errors.New("plugin: the guest is busy")
	ErrBackoff  = errors.New("plugin: the guest is in backoff after a failure")
	ErrEndless  = fmt.Errorf("%w: its enumeration does not end", ErrProtocol)
	ErrBudget   = errors.New("plugin: the host's budget is spent")
	ErrHung     = errors.New("plugin: the guest does not return from a call")
)

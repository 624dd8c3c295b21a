package plugin

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/store"
)

// What ended an instance or kept a call from being made. An [Error] is also one
// of these under [errors.Is].
var (
	ErrTrap     = protocol.ErrTrap     // the guest trapped
	ErrExit     = protocol.ErrExit     // the guest exited
	ErrDeadline = protocol.ErrDeadline // the guest exceeded its deadline
	ErrMemory   = protocol.ErrMemory   // the guest pointed outside its memory
	ErrProtocol = protocol.ErrProtocol // the guest broke the contract
	ErrBackoff  = protocol.ErrBackoff  // the guest is in backoff after a failure
	// ErrEndless is an [ErrProtocol]: an enumeration that goes round, that gives
	// more than the guest has room for, or that takes too long.
	ErrEndless = protocol.ErrEndless
	// ErrHung is not an [Error]'s: it is what Close and Save return, with the
	// context's error, if the context ended before a shard came back.
	ErrHung = protocol.ErrHung
)

// Error is an operation that failed in the guest. It is the error of package
// store that callers decide by under [errors.Is]: the one of Code if the guest
// answered a code, [store.ErrUnavailable] if the instance failed. Either way the
// operation may be tried again; after RetryAfter, if that is set.
//
// An operation that failed with the instance may have had its effect.
type Error struct {
	Plugin string
	Op     string // "get", "set", …; "open" if an instance could not be brought up
	Shard  int

	// Code is what the guest answered, 0 if it did not come to an answer.
	Code abi.Code
	// Kind is one of the errors of this package if the guest did not come to
	// an answer, else nil.
	Kind error
	// Message is the guest's own explanation of Code, or what is known of the
	// failure. Control characters are replaced.
	Message string
	// Trace is the guest's call stack, the innermost function first, for
	// ErrTrap and for what a function of the host found. A function is a line,
	// with its name if the module has names and with its number if not; the
	// places in its source follow behind a tab, if [Config.DebugInfo] is set.
	Trace string
	// Output is the end of what the instance wrote to its standard output and
	// error, if the instance failed. Control characters but line ends are
	// replaced.
	Output string
	// ExitCode is what the guest exited with, for ErrExit.
	ExitCode uint32
	// RetryAfter says when the shard gets a new instance, if it has none: the
	// instance failed in this operation, or, for ErrBackoff, in one before.
	RetryAfter time.Duration
}

// RetryIn implements [store.Delayed].
func (e *Error) RetryIn() time.Duration { return e.RetryAfter }

// Error describes the failure in one line, without Trace and Output.
func (e *Error) Error() string {
	return fmt.Sprintf("plugin %s: %s in shard %d: %s", e.Plugin, e.Op, e.Shard, e.what())
}

// Details describes the failure with Trace and Output, in lines, for people.
func (e *Error) Details() string {
	var b strings.Builder
	b.WriteString(e.Error())
	b.WriteByte('\n')
	for _, part := range []struct{ title, text string }{{"call stack", e.Trace}, {"output", e.Output}} {
		if part.text == "" {
			continue
		}
		b.WriteString(part.title)
		b.WriteString(":\n")
		for line := range strings.Lines(strings.TrimRight(part.text, "\n")) {
			b.WriteByte('\t')
			b.WriteString(line)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (e *Error) what() string { return (*protocol.Failure)(e).Text() }

// Unwrap returns the errors that e is.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{store.FromCode(e.Code)}
	}
	return []error{store.ErrUnavailable, e.Kind}
}

// Why a module is refused. A [LoadError] is one of these under [errors.Is].
var (
	ErrConfig    = errors.New("bad configuration")
	ErrNotPlugin = errors.New("not a Waddle plugin")
	ErrVersion   = errors.New("version of the plugin interface that this host does not have")
	ErrExport    = errors.New("export missing or of another signature")
	ErrImport    = errors.New("import that is not available")
	ErrGrant     = errors.New("import that is not granted")
	ErrFeature   = errors.New("feature that is not available to a guest")
	ErrLimits    = errors.New("module exceeds a limit")
	ErrModule    = errors.New("module is not valid")
	ErrDirectory = errors.New("directory that cannot be used") // a mount's, or Snapshots
	ErrInUse     = errors.New("directory that is in use")
	ErrShards    = errors.New("directory of another number of shards") // and a *ShardsError
	ErrOpen      = errors.New("guest does not open")
)

// ErrCache is in what the log says of a cache directory that is not used. It keeps
// no plugin from being opened.
var ErrCache = errors.New("cache directory is not safe to use")

// LoadError says why a module was refused: what was found, and what should be
// there.
type LoadError struct {
	Plugin string
	Kind   error  // one of the errors of this package
	Detail string // in one line
	Err    error  // what it came from, or nil
}

// Error describes the refusal in one line.
func (e *LoadError) Error() string {
	s := "plugin"
	if e.Plugin != "" {
		s += " " + e.Plugin
	}
	return s + ": " + e.Kind.Error() + ": " + e.Detail
}

// Unwrap returns the errors that e is.
func (e *LoadError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

func loadError(kind, err error, format string, args ...any) *LoadError {
	return &LoadError{Kind: kind, Err: err, Detail: fmt.Sprintf(format, args...)}
}

func configError(format string, args ...any) error { return loadError(ErrConfig, nil, format, args...) }
func limitsError(format string, args ...any) error { return loadError(ErrLimits, nil, format, args...) }

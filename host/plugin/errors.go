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

// Reasons why an instance ended or a call was not made. An [Error] is also one of
// these under [errors.Is].
var (
	ErrTrap     = protocol.ErrTrap     // the guest trapped
	ErrExit     = protocol.ErrExit     // the guest exited
	ErrDeadline = protocol.ErrDeadline // the guest ran for longer than its deadline
	ErrFuel     = protocol.ErrFuel     // the guest used more fuel in a call than it may
	ErrDepth    = protocol.ErrDepth    // the guest's calls were nested too deep
	ErrRate     = protocol.ErrRate     // the guest has used its fuel faster than it may
	ErrMemory   = protocol.ErrMemory   // the guest pointed outside its memory
	ErrProtocol = protocol.ErrProtocol // the guest broke the contract
	ErrBusy     = protocol.ErrBusy     // as many calls wait for the guest as may, or this one has waited for too long
	ErrBackoff  = protocol.ErrBackoff  // the guest is in backoff after a failure
	// ErrEndless is an [ErrProtocol]: an enumeration goes round, returns more than the
	// guest has room for, or takes too long.
	ErrEndless = protocol.ErrEndless
	// ErrHung is not an [Error]'s. Close and Save return it, with the context's error,
	// if the context ended before a shard returned from a call.
	ErrHung = protocol.ErrHung
)

// Error is returned when an operation fails in the guest. Under [errors.Is] it is the
// error of package store that callers decide by: the one of Code if the guest answered
// a code, or [store.ErrUnavailable] if the instance failed. Either way the caller may
// try again, after RetryAfter if that is set.
//
// If the instance failed, the operation may have had its effect.
type Error struct {
	Plugin string
	Op     string // "get", "set", …; "open" if an instance could not be opened
	Shard  int    // -1 if the operation was refused before it had one

	// Code is the guest's answer, or 0 if it did not answer.
	Code abi.Code
	// Kind is one of the errors of this package if the guest did not answer, or
	// [store.ErrOversized] if it answered more than [Config.MaxValue] allows, else nil.
	Kind error
	// Message is the guest's own explanation of Code, or a description of the
	// failure. Control characters are replaced.
	Message string
	// Trace is the guest's call stack, the innermost function first, for ErrTrap and
	// for faults that a function of the host found. Each function is a line, with its
	// name if the module has names and its number otherwise. If [Config.DebugInfo] is
	// set, a tab and its places in the source follow.
	Trace string
	// Output is the end of what the instance wrote to its standard output and error,
	// if the instance failed. Control characters except line ends are replaced.
	Output string
	// ExitCode is the code that the guest exited with, for ErrExit.
	ExitCode uint32
	// RetryAfter is the time until the shard gets a new instance, if it has none
	// because the instance failed in this operation or, for ErrBackoff, in an earlier
	// one. For ErrRate it is the time until the guest may compute again, for ErrBusy
	// about how long calls wait for the guest at present.
	RetryAfter time.Duration
	// Limit is the limit that the operation exceeded, "" if it failed for another reason.
	Limit Limit
	// Allowed and Used are what that limit says and what there was: nanoseconds of time, units
	// of fuel, and bytes of stack, memory, keys, values and results. For LimitRate they are the
	// units that the guest may use per second, and those that it has used beyond that. Both are
	// 0 for limits that are no such number. For LimitQueue, Allowed is how many calls may wait.
	Allowed, Used int64
}

// RetryIn implements [store.Delayed].
func (e *Error) RetryIn() time.Duration { return e.RetryAfter }

// Error describes the failure in one line, without Trace and Output.
func (e *Error) Error() string {
	if e.Shard == protocol.NoShard {
		return fmt.Sprintf("plugin %s: %s: %s", e.Plugin, e.Op, e.what())
	}
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
	if e.Kind == store.ErrOversized { // the guest did what it should
		return []error{e.Kind}
	}
	return []error{store.ErrUnavailable, e.Kind}
}

// Reasons to refuse a module. A [LoadError] is one of these under [errors.Is].
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

// ErrCache is in the log record about a cache directory that cannot be used. Plugins
// open all the same.
var ErrCache = errors.New("cache directory is not safe to use")

// LoadError is returned when a module is refused. It says what was found and what must
// be there.
type LoadError struct {
	Plugin string
	Kind   error  // one of the errors of this package
	Detail string // in one line
	Err    error  // the cause, or nil

	// Limit is the limit that is exceeded, "" if the module is refused for another reason.
	Limit Limit
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

package plugin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// Modes of limiting calls. The limit is compiled into the guest's code, so the modes
// share no code.
const (
	modeTrusted  = "plain"   // not at all
	modeDeadline = "closing" // wazero checks at every loop whether the instance was closed

	// debugSuffix ends the mode of code that knows its source lines.
	debugSuffix = "-debug"
)

func (s *resolved) mode() string {
	mode := modeTrusted
	if s.Deadline > 0 {
		mode = modeDeadline
	}
	if s.DebugInfo {
		mode += debugSuffix
	}
	return mode
}

// rewriting says what is added to a module before it is compiled: whatever the
// config, each guest gets few segments and one function that calls its exports.
func (s *resolved) rewriting() rewrite.Options {
	return rewrite.Options{MergeData: true, Entry: contractNames}
}

// limitConfig sets up the runtime for a mode.
func limitConfig(config wazero.RuntimeConfig, mode string) wazero.RuntimeConfig {
	mode, debug := strings.CutSuffix(mode, debugSuffix)
	return config.WithCloseOnContextDone(mode == modeDeadline).WithDebugInfoEnabled(debug)
}

// run is the one place that enters guest code. It returns nil, or a fault, after
// which the instance must not be used. limit 0 is for trusted guests.
func (inst *instance) run(f export, limit time.Duration, params ...uint64) error {
	inst.stack[0] = uint64(f)
	copy(inst.stack[1:], params)
	inst.message, inst.slept = inst.message[:0], 0
	if limit == 0 {
		if err := inst.call(inst.ctx); err != nil {
			return inst.fault(err)
		}
		return nil
	}
	// The client's context is not the parent of this one: wazero closes the
	// instance when this one is done.
	ctx, cancel := context.WithTimeout(inst.ctx, limit)
	inst.deadline = time.Now().Add(limit)
	err := inst.call(ctx)
	inst.deadline = time.Time{}
	cancel()
	if err != nil {
		return inst.fault(err)
	}
	return nil
}

func (inst *instance) call(ctx context.Context) error {
	if !inst.machine.debug {
		return inst.entry.CallWithStack(ctx, inst.stack[:])
	}
	// When the guest fails, wazero reads its debug sections, which may be malformed.
	return guarded(func() error { return inst.entry.CallWithStack(ctx, inst.stack[:]) })
}

// checkDeadline ends the call if its time is up. Functions of the host call it,
// since nothing else interrupts them or loopless code that calls them.
func (inst *instance) checkDeadline() {
	if !inst.deadline.IsZero() && time.Now().After(inst.deadline) {
		panic(errOverrun)
	}
}

// maxSleep is how long a guest may sleep in one call.
const maxSleep = time.Millisecond

func (inst *instance) sleep(ns int64) {
	inst.checkDeadline()
	d := min(time.Duration(ns), maxSleep-inst.slept)
	if d > 0 {
		inst.slept += d
		time.Sleep(d)
	}
}

const (
	maxFault = 1024
	maxTrace = 8192
)

// fault turns an error of wazero into a fault. An exit has no trace, and neither has
// a deadline that passed in the guest's own code.
func (inst *instance) fault(err error) *protocol.Fault {
	var exit *sys.ExitError
	message, trace, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	trace = cleanTrace(trace)
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == sys.ExitCodeDeadlineExceeded && inst.machine.callLimit() > 0:
		return &protocol.Fault{Kind: ErrDeadline}
	case errors.Is(err, errOverrun):
		return &protocol.Fault{Kind: ErrDeadline, Trace: trace}
	case errors.As(err, &exit):
		return &protocol.Fault{Kind: ErrExit, ExitCode: exit.ExitCode()}
	case errors.Is(err, errNotGranted):
		return &protocol.Fault{Kind: ErrGrant, Message: errNotGranted.Error(), Trace: trace}
	case errors.Is(err, errBadPointer):
		return &protocol.Fault{Kind: ErrMemory, Message: errBadPointer.Error(), Trace: trace}
	}
	message = strings.TrimPrefix(message, "wasm error: ")
	if errors.Is(inst.memory.err, ErrBudget) {
		message += "; its memory could not grow: " + spentOf(inst.memory.err)
	}
	return &protocol.Fault{Kind: ErrTrap, Message: printable.Clean(string(printable.Cut([]byte(message), maxFault))), Trace: trace}
}

// cleanTrace returns one function per line, followed by its source lines, if they are
// known, behind a tab.
func cleanTrace(trace string) string {
	var b strings.Builder
	for line := range strings.Lines(string(printable.Cut([]byte(trace), maxTrace))) {
		line = strings.TrimPrefix(line, "\t")
		line = strings.TrimPrefix(line, ".") // it follows the instance's name, which is empty
		b.WriteString(line)
	}
	return printable.CleanLines(withoutEntry(b.String()))
}

// entrySignature ends the line of the function by which an instance is called. No export
// of the contract has it.
var entrySignature = "(i32" + strings.Repeat(",i64", maxParams) + ") i64"

// withoutEntry leaves out that function, which is nothing of the guest's. It is the
// last in a trace that is complete.
func withoutEntry(trace string) string {
	if !strings.HasSuffix(trace, entrySignature) {
		return trace
	}
	return trace[:max(strings.LastIndexByte(trace, '\n'), 0)]
}

package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// rewriting says what is added to a guest before it is compiled: few segments and one
// function that calls its exports, whatever the config; meters unless it is trusted; and what it
// takes to share executors.
func (s *resolved) rewriting() rewrite.Options {
	return rewrite.Options{MergeData: true, Entry: contractNames, Meter: !s.Trusted, Movable: s.shares()}
}

// run is the one place that enters guest code: it makes the call that is on the
// instance's stack. It returns nil, or a fault, after which the instance must not be
// used, or an answer, if the call could not be made. A guest without a meter has no bounds.
func (inst *instance) run(allowed *bounds) error {
	inst.message, inst.slept, inst.extent.err = inst.message[:0], 0, nil
	if inst.conns != nil {
		inst.conns.callBegins()
	}
	if !inst.turn.Calm() {
		if err := inst.begins(); err != nil {
			return err
		}
	}
	if inst.seat != nil {
		if err := inst.seat.sit(); err != nil {
			inst.turn.End(0)
			return err
		}
	}
	if inst.meter != nil {
		inst.meter.begin(allowed)
	}
	var err error
	if inst.machine.debug {
		// When the guest fails, wazero reads its debug sections, which may be malformed.
		err = guarded(inst.call)
	} else {
		err = inst.call()
	}
	if inst.meter == nil {
		inst.turn.End(trustedFuel * int64(max(1, inst.operations)))
	} else {
		left := int64(inst.stack[1]) // which the guest returned
		if err != nil {
			left = int64(inst.meter.left.Get())
		}
		inst.turn.End(inst.meter.end(left) + hostFuel)
		if err == nil && inst.meter.surfaced() { // with a large stack, which stays with the function
			inst.on.renew()
		}
	}
	if inst.seat != nil {
		inst.seat.stand(err != nil)
	}
	if err != nil {
		return inst.fault(err)
	}
	return nil
}

func (inst *instance) call() error {
	return inst.on.entry.CallWithStack(&inst.within, inst.stack[:])
}

// hooked returns a context to compile a metered module with: its hook gives Go control.
// The hook is called when fuel or stack has run out, and tells the meter of the
// instance.
func hooked(ctx context.Context, hook uint32) context.Context {
	return experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(
		func(f api.FunctionDefinition) experimental.FunctionListener {
			if f.Index() != hook {
				return nil
			}
			return experimental.FunctionListenerFunc(
				func(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
					instanceOf(ctx).meter.next()
				})
		}))
}

const (
	maxFault = 1024
	maxTrace = 8192
)

// fault turns an error of wazero into a fault. An exit has no trace.
func (inst *instance) fault(err error) *protocol.Fault {
	var exit *sys.ExitError
	var over *exceeded
	message, trace, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	trace = inst.machine.compiled.cleanTrace(trace)
	switch {
	case errors.As(err, &over):
		limit := over.limit()
		inst.machine.limits.count(limit)
		return &protocol.Fault{Kind: over.kind, Message: over.text(), Trace: trace, Limit: limit, Allowed: over.allowed, Used: over.used}
	case errors.As(err, &exit):
		return &protocol.Fault{Kind: ErrExit, ExitCode: exit.ExitCode()}
	case errors.Is(err, errNotGranted):
		return &protocol.Fault{Kind: ErrGrant, Message: errNotGranted.Error(), Trace: trace}
	case errors.Is(err, errBadPointer):
		return &protocol.Fault{Kind: ErrMemory, Message: errBadPointer.Error(), Trace: trace}
	}
	message = strings.TrimPrefix(message, "wasm error: ")
	fault := &protocol.Fault{Kind: ErrTrap, Trace: trace}
	if refused := inst.extent.err; refused != nil {
		message += "; its memory could not grow: " + spentOf(refused)
		r := refusalOf(refused)
		fault.Limit, fault.Allowed, fault.Used = r.limit, r.allowed, r.used
	}
	fault.Message = printable.Clean(string(printable.Cut([]byte(message), maxFault)))
	return fault
}

// exceeded is a bound that a call has exceeded. The call panics with it, and wazero
// turns it into the call's error.
type exceeded struct {
	kind          error
	allowed, used int64
	waiting       bool // in functions of the host
	network       bool // for a network, after it was told to stop
}

func (e *exceeded) limit() Limit {
	switch {
	case e.kind == ErrFuel:
		return LimitFuel
	case e.kind == ErrDepth:
		return LimitDepth
	case e.waiting:
		return LimitHostTime
	case e.network:
		return LimitNetworkWait
	}
	return LimitDeadline
}

func (e *exceeded) Error() string { return e.kind.Error() + ": " + e.text() }

func (e *exceeded) text() string {
	switch {
	case e.kind == ErrFuel:
		return fmt.Sprintf("a call used %d units: may use %d", e.used, e.allowed)
	case e.kind == ErrDepth:
		return fmt.Sprintf("they take %d bytes of stack: may take %d", e.used, e.allowed)
	case e.waiting:
		return fmt.Sprintf("a call waited for %v in functions of the host: may wait for %v", roundly(e.used), time.Duration(e.allowed))
	case e.network:
		return fmt.Sprintf("a call went on waiting for the network %v after it was told that its time is spent: may take %v to end",
			roundly(e.used), time.Duration(e.allowed))
	}
	return fmt.Sprintf("a call ran for %v: may run for %v", roundly(e.used), time.Duration(e.allowed))
}

func roundly(ns int64) time.Duration { return time.Duration(ns).Round(10 * time.Microsecond) }

// cleanTrace returns one function per line, followed by its source lines, if they are
// known, behind a tab. It leaves out the functions that the host has added.
func (c *compiled) cleanTrace(trace string) string {
	var b strings.Builder
	for line := range strings.Lines(string(printable.Cut([]byte(trace), maxTrace))) {
		line = strings.TrimPrefix(line, "\t")
		line = strings.TrimPrefix(line, ".") // it follows the instance's name, which is empty
		if name, _, _ := strings.Cut(line, "("); !c.added(name) {
			b.WriteString(line)
		}
	}
	return strings.TrimSuffix(printable.CleanLines(b.String()), "\n")
}

// added reports whether the host has added a function to the module. The name follows
// that of the module, if it has one, and is a number if the module has no names.
func (c *compiled) added(name string) bool {
	name = name[strings.LastIndexByte(name, '.')+1:]
	return strings.HasPrefix(name, rewrite.ReservedPrefix) || slices.Contains(c.numbers, name)
}

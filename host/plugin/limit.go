package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// How calls are limited. The limit is compiled into the guest's code, so that
// the modes do not share any.
const (
	modeTrusted  = "plain"   // not at all
	modeDeadline = "closing" // wazero looks at every loop whether the instance was closed
)

func (s *settled) mode() string {
	if s.Deadline == 0 {
		return modeTrusted
	}
	return modeDeadline
}

// limitConfig is what a mode needs of the runtime.
func limitConfig(config wazero.RuntimeConfig, mode string) wazero.RuntimeConfig {
	return config.WithCloseOnContextDone(mode == modeDeadline)
}

// run is the one place where guest code is entered. It returns a *fault, after
// which the instance must not be used, or nil. limit 0 is for trusted guests.
func (in *instance) run(f api.Function, limit time.Duration) error {
	in.message, in.slept = in.message[:0], 0
	if limit == 0 {
		if err := f.CallWithStack(in.ctx, in.stack[:]); err != nil {
			return in.fault(err)
		}
		return nil
	}
	// The client's context is not this one's parent: wazero closes the
	// instance when it is done.
	ctx, cancel := context.WithTimeout(in.ctx, limit)
	in.deadline = time.Now().Add(limit)
	err := f.CallWithStack(ctx, in.stack[:])
	in.deadline = time.Time{}
	cancel()
	if err != nil {
		return in.fault(err)
	}
	return nil
}

// checkDeadline ends the call if its time is up. Functions of the host call it,
// since nothing interrupts them or code that calls them without a loop.
func (in *instance) checkDeadline() {
	if !in.deadline.IsZero() && time.Now().After(in.deadline) {
		panic(errOverrun)
	}
}

// maxSleep is how long a guest may sleep in one call.
const maxSleep = time.Millisecond

func (in *instance) sleep(ns int64) {
	in.checkDeadline()
	d := min(time.Duration(ns), maxSleep-in.slept)
	if d > 0 {
		in.slept += d
		time.Sleep(d)
	}
}

// fault is a failure that ends the instance.
type fault struct {
	kind     error
	message  string
	trace    string
	exitCode uint32
}

func (f *fault) Error() string { return f.kind.Error() + ": " + f.message }

const (
	maxFault = 1024
	maxTrace = 8192
)

// fault says what an error of wazero means.
func (in *instance) fault(err error) *fault {
	var exit *sys.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == sys.ExitCodeDeadlineExceeded && in.plugin.config.Deadline > 0,
		errors.Is(err, errOverrun):
		return &fault{kind: ErrDeadline}
	case errors.As(err, &exit):
		return &fault{kind: ErrExit, exitCode: exit.ExitCode()}
	case errors.Is(err, errBadPointer):
		return &fault{kind: ErrMemory, message: errBadPointer.Error()}
	}
	message, trace, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	message = strings.TrimPrefix(message, "wasm error: ")
	return &fault{
		kind:    ErrTrap,
		message: clean(string(cut([]byte(message), maxFault))),
		trace:   cleanLines(string(cut([]byte(strings.TrimLeft(trace, "\t")), maxTrace))),
	}
}

func (in *instance) badResult(format string, args ...any) *fault {
	return &fault{kind: ErrProtocol, message: fmt.Sprintf(format, args...)}
}

// Command waddle works with sessions whose storage is a WebAssembly plugin.
//
//	waddle run [--addr ADDR] [FILE.wasm]   serve the playground
//	waddle version                         say which waddle this is
//	waddle help [VERB]                     explain a verb
//
// It ends with 0 if all went well, 1 if something failed, and 2 if it was
// called with arguments or settings that cannot work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-asked
		// With nobody listening any more, a second signal ends the process at
		// once, however long the first takes.
		signal.Stop(asked)
		cancel()
	}()
	os.Exit(run(ctx, os.Args[1:], &environment{os.Environ(), os.Stdout, os.Stderr}))
}

// environment is what a verb has beside its arguments.
type environment struct {
	variables      []string // as os.Environ gives them
	stdout, stderr io.Writer
}

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, args []string, env *environment) int {
	err := dispatch(ctx, args, env)
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintln(env.stderr, "waddle:", err)
		return exitUsage
	}
	fmt.Fprintln(env.stderr, "waddle:", err)
	return exitFailed
}

// usageError is a mistake of the caller: an argument or setting that cannot
// work. It says what to do about it.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

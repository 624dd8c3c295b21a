package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, args []string, env *environment) int {
	root := newRoot(env)
	root.SetArgs(slices.Concat([]string{}, args)) // nil would stand for os.Args
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if readerHasEnded(err) {
		return exitFailed // there is nobody to tell
	}
	var failed *plugin.Error
	if errors.As(err, &failed) && failed.Trace+failed.Output != "" {
		fmt.Fprint(env.stderr, failed.Details())
	}
	fmt.Fprintln(env.stderr, "waddle:", err)
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// readerHasEnded reports whether the output could not be written because its reader is
// gone. A connection that another program closed is something to tell.
func readerHasEnded(err error) bool {
	var network *net.OpError
	return errors.Is(err, syscall.EPIPE) && !errors.As(err, &network)
}

// usageError is a mistake of the caller: an argument or setting that cannot work.
// It says what to do.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// flagError says what is wrong with a flag and which flags there are.
func flagError(cmd *cobra.Command, err error) error {
	if !cmd.HasParent() && cmd.Flags().NArg() > 0 {
		return unknownVerb(cmd, cmd.Flags().Arg(0))
	}
	see := "'" + strings.TrimSpace("waddle help "+strings.TrimPrefix(cmd.CommandPath(), "waddle")) + "'"
	see = strings.ReplaceAll(see, "  ", " ")
	var (
		absent *pflag.NotExistError
		bare   *pflag.ValueRequiredError
		bad    *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &absent) && absent.GetSpecifiedShortnames() != "":
		if long := cmd.Flags().Lookup(absent.GetSpecifiedShortnames()); long != nil {
			return usagef("a flag of more than one letter has two dashes: --%s", long.Name)
		}
		return usagef("%s has no flag -%s; its flags are %s: see %s", cmd.Name(), absent.GetSpecifiedName(), flagNames(cmd), see)
	case errors.As(err, &absent):
		return usagef("%s has no flag --%s; its flags are %s: see %s", cmd.Name(), absent.GetSpecifiedName(), flagNames(cmd), see)
	case errors.As(err, &bare):
		name, _ := pflag.UnquoteUsage(bare.GetFlag())
		return usagef("the flag --%s needs a value: --%[1]s %s; see %s", bare.GetFlag().Name, name, see)
	case errors.As(err, &bad):
		return usagef("--%s is %q: must be %s; see %s", bad.GetFlag().Name, bad.GetValue(), wanted(bad), see)
	}
	return usagef("%w; see %s", err, see)
}

// wanted describes the values that a flag takes.
func wanted(bad *pflag.InvalidValueError) string {
	switch bad.GetFlag().Value.Type() {
	case "int":
		return "a whole number"
	case "uint64":
		return "a whole number that is not negative"
	case "intSlice":
		return "whole numbers with commas between them"
	case "duration":
		return "a duration such as 500ms or 2s"
	case "bool":
		return "true or false"
	}
	return bad.Unwrap().Error()
}

func flagNames(cmd *cobra.Command) string {
	var all []string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			all = append(all, "--"+f.Name)
		}
	})
	return strings.Join(all, ", ")
}

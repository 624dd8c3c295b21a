package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// verb is something that waddle does.
type verb struct {
	name     string
	synopsis string // what follows the name
	summary  string // one line
	help     string // the rest of what there is to know
	run      func(ctx context.Context, args []string, env *environment) error
}

// verbs are listed in the order in which people meet them.
func verbs() []verb {
	return []verb{runVerb, versionVerb, helpVerb}
}

func find(name string) (verb, bool) {
	for _, v := range verbs() {
		if v.name == name {
			return v, true
		}
	}
	return verb{}, false
}

func dispatch(ctx context.Context, args []string, env *environment) error {
	if len(args) == 0 {
		overview(env.stderr)
		return usagef("a verb is missing; 'waddle run' starts the playground")
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-v", "-version", "--version":
		name = "version"
	}
	v, ok := find(name)
	if !ok {
		return usagef("there is no verb %q; there are %s: see 'waddle help'", name, names())
	}
	err := v.run(ctx, args[1:], env)
	if errors.Is(err, flag.ErrHelp) {
		explain(env.stdout, v)
		return nil
	}
	return err
}

var helpVerb = verb{
	name:     "help",
	synopsis: "[VERB]",
	summary:  "explain waddle, or one of its verbs",
}

// Set here because help lists the verbs, of which it is one.
func init() {
	helpVerb.run = func(_ context.Context, args []string, env *environment) error {
		switch len(args) {
		case 0:
			overview(env.stdout)
			return nil
		case 1:
			v, ok := find(args[0])
			if !ok {
				return usagef("there is no verb %q; there are %s", args[0], names())
			}
			explain(env.stdout, v)
			return nil
		}
		return usagef("help takes one verb, and got %d", len(args))
	}
}

func overview(w io.Writer) {
	fmt.Fprint(w, "waddle works with sessions whose storage is a WebAssembly plugin.\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(w, "  waddle %-32s %s\n", strings.TrimSpace(v.name+" "+v.synopsis), v.summary)
	}
	fmt.Fprint(w, "\n'waddle help VERB' tells more about one.\n")
}

func explain(w io.Writer, v verb) {
	fmt.Fprintf(w, "waddle %s\n\n%s.\n", strings.TrimSpace(v.name+" "+v.synopsis),
		strings.ToUpper(v.summary[:1])+v.summary[1:])
	if v.help != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(v.help))
	}
}

func names() string {
	var all []string
	for _, v := range verbs() {
		all = append(all, v.name)
	}
	return strings.Join(all, ", ")
}

// parse reads flags wherever they stand, up to an argument "--", and returns
// the other arguments. It returns flag.ErrHelp if help was asked for.
func parse(flags *flag.FlagSet, args []string) (others []string, err error) {
	flags.Usage = func() {}
	flags.SetOutput(io.Discard)
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usagef("%w; see 'waddle help %s'", err, flags.Name())
		}
		rest := flags.Args()
		if read := len(args) - len(rest); read > 0 && args[read-1] == "--" {
			return append(others, rest...), nil
		}
		if len(rest) == 0 {
			return others, nil
		}
		others, args = append(others, rest[0]), rest[1:]
	}
}

package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

var versionVerb = verb{
	name:    "version",
	summary: "say which waddle this is",
	run: func(_ context.Context, args []string, env *environment) error {
		if len(args) > 0 {
			return usagef("version takes no arguments, and got %q", args[0])
		}
		_, err := fmt.Fprintln(env.stdout, version())
		return err
	},
}

// version returns what the go command noted when it built the program.
func version() string {
	number, commit, modified := "(unknown)", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		number = info.Main.Version
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = ", commit " + s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = " with changes"
			}
		}
	}
	return fmt.Sprintf("waddle %s%s%s, %s %s/%s", number, commit, modified, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot makes the program's commands. They are listed in the order in which
// people meet them.
func newRoot(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:           "waddle",
		Short:         "work with sessions whose storage is a WebAssembly plugin",
		SilenceErrors: true, // run writes them
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // so that an unknown verb comes to RunE
		RunE: func(cmd *cobra.Command, args []string) error {
			// Not by cobra's own field: its template, which would have to be
			// set, brings text/template, and with that every method of every
			// type: three megabytes.
			if asked, _ := cmd.Flags().GetBool("version"); asked {
				return version().WriteText(env.stdout)
			}
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			overview(env.stderr, cmd)
			return usagef("a verb is missing; 'waddle run' starts the playground")
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // there is newCompletion
	}
	// Where nothing is said of a flag, its value is no file.
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if cmd.HasParent() {
			explain(env.stdout, cmd)
			return
		}
		overview(env.stdout, cmd)
	})
	cobra.EnableCommandSorting = false
	root.AddCommand(newRun(env), newInspect(env), newTest(env), newBench(env), newNew(env), newCompletion(env), newVersion(env))
	help := newHelp()
	root.SetHelpCommand(help)
	root.AddCommand(help)
	for _, cmd := range root.Commands() {
		cmd.DisableFlagsInUseLine = true
		cmd.Flags().BoolP("help", "h", false, "explain "+cmd.Name())
	}
	root.Flags().BoolP("help", "h", false, "explain waddle")
	root.Flags().BoolP("version", "v", false, "say which waddle this is")
	return root
}

func unknownVerb(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return usagef("there is no verb %q; perhaps %s was meant; there are %s: see 'waddle help'",
			name, strings.Join(near, " or "), names(root))
	}
	return usagef("there is no verb %q; there are %s: see 'waddle help'", name, names(root))
}

// verbs are the commands that people call, without those of the shells.
func verbs(root *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(root.Commands()), func(c *cobra.Command) bool { return c.Hidden })
}

func names(root *cobra.Command) string {
	var all []string
	for _, v := range verbs(root) {
		all = append(all, v.Name())
	}
	return strings.Join(all, ", ")
}

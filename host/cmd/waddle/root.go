package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot makes the program's commands, listed in the order in which people need
// them.
func newRoot(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:           "waddle",
		Short:         "work with sessions whose storage is a WebAssembly plugin",
		SilenceErrors: true, // run writes them
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // so that an unknown verb reaches RunE
		RunE: func(cmd *cobra.Command, args []string) error {
			// cobra's own field would need a template, which brings in
			// text/template and with it every method of every type: three
			// megabytes.
			if asked, _ := cmd.Flags().GetBool("version"); asked {
				return version().WriteText(env.stdout)
			}
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			overview(env.stderr, cmd)
			return usagef("no verb was given; 'waddle run' starts the playground")
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // newCompletion takes its place
	}
	// By default, the value of a flag is not a file.
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
	root.AddCommand(newRun(env), newHost(env), newServe(env), newManifest(env), newSessions(env), newMigrate(env), newCheck(env), newBackup(env), newRestore(env), newInspect(env), newTest(env), newBench(env), newNew(env), newCompletion(env), newVersion(env))
	help := newHelp()
	root.SetHelpCommand(help)
	root.AddCommand(help)
	for _, cmd := range root.Commands() {
		cmd.DisableFlagsInUseLine = true
		cmd.Flags().BoolP("help", "h", false, "explain "+cmd.Name())
	}
	root.Flags().BoolP("help", "h", false, "explain waddle")
	root.Flags().BoolP("version", "v", false, "show the version of waddle")
	return root
}

func unknownVerb(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return usagef("%q is not a verb; perhaps %s was meant; the verbs are %s: see 'waddle help'",
			name, strings.Join(near, " or "), names(root))
	}
	return usagef("%q is not a verb; the verbs are %s: see 'waddle help'", name, names(root))
}

// verbs returns the commands that people call, without those of the shells.
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

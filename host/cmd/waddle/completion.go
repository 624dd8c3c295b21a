package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/engines/postgres"
	"github.com/waddle-sessions/waddle/host/engines/redis"
)

var shells = []cobra.Completion{
	cobra.CompletionWithDesc("bash", "4 or newer, with the package bash-completion"),
	cobra.CompletionWithDesc("zsh", "with compinit"),
	cobra.CompletionWithDesc("fish", ""),
	cobra.CompletionWithDesc("powershell", "5.1 or newer"),
}

const shellNames = "bash, zsh, fish or powershell"

func newCompletion(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "write a script that completes waddle's arguments",
		Long: `
The script goes to standard output, for SHELL: ` + shellNames + `.
It asks waddle for its suggestions each time, so it stays valid when waddle
changes.`,
		Example: `  source <(waddle completion bash)                # bash, this shell only
  waddle completion bash > ~/.local/share/bash-completion/completions/waddle
  source <(waddle completion zsh)                 # zsh, this shell only
  waddle completion zsh > "${fpath[1]}/_waddle"
  waddle completion fish > ~/.config/fish/completions/waddle.fish
  waddle completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("completion takes one shell of %s, got %d: %s", shellNames, len(args), strings.Join(args, " "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(env.stdout, true)
			case "zsh":
				return root.GenZshCompletion(env.stdout)
			case "fish":
				return root.GenFishCompletion(env.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(env.stdout)
			}
			return usagef("the shell is %q: must be %s", args[0], shellNames)
		},
	}
}

// wasmFiles completes the one file that a verb takes.
func wasmFiles(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{"wasm"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeModule completes the one module that a verb takes.
func completeModule(cmd *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
	engines := bundledEngines
	if cmd.Name() == "inspect" { // which runs none
		engines = slices.Concat(engines, serverEngines)
	}
	found := beginning(engines, start)
	if len(args) > 0 || len(found) == 0 {
		return wasmFiles(cmd, args, start)
	}
	// Shells complete either files or the given names. The text so far begins a
	// name and so has no slash, so matching files lie in this directory.
	entries, err := os.ReadDir(".")
	if err != nil {
		return found, cobra.ShellCompDirectiveNoFileComp
	}
	for _, e := range entries {
		switch {
		case !strings.HasPrefix(e.Name(), start) || strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			found = append(found, e.Name()+"/")
		case strings.HasSuffix(e.Name(), ".wasm"):
			found = append(found, e.Name())
		}
	}
	directive := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	if len(found) == 1 && strings.HasSuffix(found[0], "/") {
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	return found, directive
}

var bundledEngines = []cobra.Completion{
	cobra.CompletionWithDesc(memory.Name, "bundled: keeps sessions in memory"),
	cobra.CompletionWithDesc(keyfolder.Name, "bundled: a folder for each session"),
	cobra.CompletionWithDesc(dynfile.Name, "bundled: sessions packed into files that grow"),
}

// serverEngines are the bundled engines that run with a server only.
var serverEngines = []cobra.Completion{
	cobra.CompletionWithDesc(redis.Name, "bundled: sessions in a Redis or Valkey server"),
	cobra.CompletionWithDesc(postgres.Name, "bundled: sessions in a table of a PostgreSQL server"),
}

// beginning returns the completions that begin with start.
func beginning(all []cobra.Completion, start string) []cobra.Completion {
	return slices.DeleteFunc(slices.Clone(all), func(c cobra.Completion) bool { return !strings.HasPrefix(c, start) })
}

// fixed completes a flag's value from a list.
func fixed(cmd *cobra.Command, flag string, all ...cobra.Completion) {
	mustComplete(cmd, flag, cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder))
}

// listed completes the last of a flag's comma-separated values.
func listed(cmd *cobra.Command, flag string, all func() []cobra.Completion) {
	mustComplete(cmd, flag, func(_ *cobra.Command, _ []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := start[:strings.LastIndexByte(start, ',')+1]
		var found []cobra.Completion
		for _, c := range all() {
			name, _, _ := strings.Cut(c, "\t")
			if before != "" {
				// With a description, bash would compare the typed text with a
				// quoted form of it, since it contains commas, and find no match.
				c = name
			}
			if !slices.Contains(strings.Split(before, ","), name) && strings.HasPrefix(before+c, start) {
				found = append(found, before+c)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveKeepOrder
	})
}

func directories(cmd *cobra.Command, flag string) {
	mustComplete(cmd, flag, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	})
}

func mustComplete(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag does not exist or already has a function
	}
}

// engineSettings are the settings of the bundled engines.
var engineSettings = map[string][]cobra.Completion{
	memory.Name: {
		cobra.CompletionWithDesc("max_entries=", "the largest number of records"),
		cobra.CompletionWithDesc("max_bytes=", "the bytes that they may take"),
	},
	dynfile.Name: {cobra.CompletionWithDesc("max_bytes=", "the bytes that the files may take")},
}

// completeConfig completes the flag --config of a verb that takes a module, if the
// module's settings are known.
func completeConfig(_ *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return beginning(engineSettings[args[0]], start), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

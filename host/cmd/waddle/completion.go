package main

import (
	"strings"

	"github.com/spf13/cobra"
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
What it offers it asks waddle for each time, so it need not be written again
when waddle changes.`,
		Example: `  source <(waddle completion bash)                # bash, this shell only
  waddle completion bash > ~/.local/share/bash-completion/completions/waddle
  source <(waddle completion zsh)                 # zsh, this shell only
  waddle completion zsh > "${fpath[1]}/_waddle"
  waddle completion fish > ~/.config/fish/completions/waddle.fish
  waddle completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("completion takes one shell, and got %d: %s; there are %s", len(args), strings.Join(args, " "), shellNames)
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
			return usagef("there is no completion for %q; there are %s", args[0], shellNames)
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

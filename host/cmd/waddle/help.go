package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the largest width of the text of flags.
const helpWidth = 90

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "explain waddle, or one of its verbs",
		Example: `  waddle help
  waddle help test`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("help takes one verb, got %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var all []cobra.Completion
			if len(args) == 0 {
				for _, v := range verbs(cmd.Root()) {
					all = append(all, cobra.CompletionWithDesc(v.Name(), v.Short))
				}
			}
			return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Root().Help()
			}
			for _, v := range verbs(cmd.Root()) {
				if v.Name() == args[0] {
					return v.Help()
				}
			}
			return unknownVerb(cmd.Root(), args[0])
		},
	}
}

func overview(w io.Writer, root *cobra.Command) {
	fmt.Fprint(w, "waddle works with sessions whose storage is a WebAssembly plugin.\n\n")
	for _, v := range verbs(root) {
		fmt.Fprintf(w, "  waddle %-26s %s\n", v.Use, v.Short)
	}
	fmt.Fprint(w, "\n'waddle help VERB' explains a verb, with examples.\n")
}

func explain(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "waddle %s\n\n%s.\n", cmd.Use, sentence(cmd.Short))
	if cmd.Long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(cmd.Long))
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if strings.HasSuffix(f.Value.Type(), "Slice") && f.DefValue != "[]" {
			f.DefValue = strings.Trim(f.DefValue, "[]")
		}
	})
	fmt.Fprintf(w, "\nFlags:\n%s", cmd.LocalFlags().FlagUsagesWrapped(helpWidth))
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// wrapped breaks a text into lines and indents all but the first.
func wrapped(text string, width, indent int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

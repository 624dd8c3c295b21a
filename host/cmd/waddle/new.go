package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/project"
)

func newNew(env *environment) *cobra.Command {
	var flags newFlags
	var needs strings.Builder
	for _, l := range project.Languages() {
		fmt.Fprintf(&needs, "  %-15s %s\n", l.Name, wrapped(l.Needs, helpWidth-18, 18))
	}
	cmd := &cobra.Command{
		Use:   "new LANGUAGE DIR",
		Short: "make a project for a plugin of your own",
		Long: `
The project is a complete store that keeps sessions in memory: small, commented
and ready to build. It passes 'waddle test'. Change it into a store of your own.
DIR must be empty or not exist yet. To build, each LANGUAGE needs:

` + needs.String() + `
A Go project is built against this program's own release of Waddle. If this
program was built from a checkout, it has no release: --checkout then names the
checkout to build against.`,
		Example: `  waddle new c my-engine
  waddle new go my-engine --module example.com/me/my-engine
  waddle new go my-engine --checkout ~/src/waddle
  waddle new rust engines/fast --name fast-engine`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return usagef("new takes a language and a directory, got %d arguments: waddle new LANGUAGE DIR; languages are %s",
				len(args), languageNames())
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				var all []cobra.Completion
				for _, l := range project.Languages() {
					all = append(all, cobra.CompletionWithDesc(l.Name, "needs "+l.Needs))
				}
				return beginning(all, start), cobra.ShellCompDirectiveNoFileComp
			case 1:
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return newProject(args[0], args[1], flags, env) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.options.Name, "name", "", "the plugin's own `NAME` (default: the directory's name)")
	f.StringVar(&flags.options.Module, "module", "", "the `PATH` of a Go project's module (default: the name, or NAME-store if the name means something to Go)")
	f.StringVar(&flags.options.Checkout, "checkout", "", "build a Go project against the checkout of Waddle in `DIR`")
	addJSON(cmd, &flags.json)
	directories(cmd, "checkout")
	return cmd
}

type newFlags struct {
	options project.Options
	json    bool
}

func languageNames() string {
	var all []string
	for _, l := range project.Languages() {
		all = append(all, l.Name)
	}
	return strings.Join(all, ", ")
}

func newProject(language, dir string, flags newFlags, env *environment) error {
	files, err := project.Write(dir, language, flags.options)
	switch {
	case errors.Is(err, project.ErrVersion):
		return usagef("%w (--checkout DIR)", err)
	case errors.Is(err, project.ErrLanguage), errors.Is(err, project.ErrOption), errors.Is(err, project.ErrNotEmpty):
		return &usageError{err}
	case err != nil:
		return err
	}
	made := created{Directory: dir, Language: language, Files: files}
	for _, l := range project.Languages() {
		if l.Name == language {
			made.title, made.Needs = l.Title, l.Needs
			made.Commands = []string{l.Build, "waddle test store.wasm", "waddle run store.wasm"}
		}
	}
	if filepath.Clean(dir) != "." {
		made.Commands = append([]string{"cd " + quoted(dir)}, made.Commands...)
	}
	return write(env.stdout, &made, flags.json)
}

// created describes a new project.
type created struct {
	Directory string   `json:"directory"`
	Language  string   `json:"language"`
	Files     []string `json:"files"`
	Needs     string   `json:"needs"`
	Commands  []string `json:"commands"` // the next steps, for a shell
	title     string
}

// WriteText writes the description for people.
func (c *created) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "A storage plugin in %s is in %s:\n\n", c.title, c.Directory)
	for _, name := range c.Files {
		fmt.Fprintf(&b, "  %s\n", name)
	}
	fmt.Fprintf(&b, "\nBuilding it needs %s. Next:\n\n", c.Needs)
	for _, command := range c.Commands {
		fmt.Fprintf(&b, "  %s\n", command)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./~+:,@%\\-]+$`)

// quoted writes a word for a shell.
func quoted(word string) string {
	switch {
	case strings.HasPrefix(word, "-"):
		return quoted("./" + word)
	case plainWord.MatchString(word) && !strings.HasPrefix(word, "~"):
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/sessiondir"
)

func newCheck(env *environment) *cobra.Command {
	var flags checkFlags
	cmd := &cobra.Command{
		Use:   "check DIR",
		Short: "look for damage in a directory of sessions",
		Long: `
Reads every record of a directory with sessions of keyfolder, dynfile or memory,
and changes nothing. It reports for each shard how many sessions are there, what
is damaged or lost and where, and what mends that:

  engine    the engine does, when it opens the directory or while it works
  repair    'waddle check --repair DIR' does
  backup    only a backup has what was lost; --repair makes the rest usable
  by hand   somebody must decide
  none      nothing has to be done

A server may use the directory meanwhile: unfinished writes are not taken for
damage. With --open each record must also open with the secrets in WADDLE_SECRET
or WADDLE_SECRET_FILE; SESSION_READ_UNSEALED_UNTIL accepts unsealed ones.

--repair needs the server to be stopped. It loses nothing that can be read, and
keeps what it takes away in DIR/.waddle.lost. It may be run again, also after it
was killed.

The exit code is 0 if all is well, apart from notes, and 1 if something is
damaged.`,
		Example: `  waddle check /var/lib/sessions
  waddle check /var/lib/sessions --json
  WADDLE_SECRET_FILE=/run/secrets/sessions waddle check /var/lib/sessions --open
  waddle check /var/lib/sessions --repair`,
		Args:              oneDirectory,
		ValidArgsFunction: completeDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := untilPipeBreaks(cmd.Context())
			defer cancel()
			return checkDirectory(ctx, args[0], flags, env)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.open, "open", false, "also open each sealed record, with the secrets of the environment")
	f.BoolVar(&flags.repair, "repair", false, "mend what can be mended; the directory must not be in use")
	addJSON(cmd, &flags.json)
	return cmd
}

type checkFlags struct{ open, repair, json bool }

// oneDirectory checks the arguments of a verb that takes one directory.
func oneDirectory(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 1:
		return nil
	case 0:
		return usagef("%s needs a directory: waddle %s", cmd.Name(), cmd.Use)
	}
	return usagef("%s takes one directory, got %d: %s", cmd.Name(), len(args), strings.Join(args, " "))
}

func completeDirectory(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// recognise finds out what a directory is.
func recognise(dir string) (sessiondir.Layout, error) {
	l, err := sessiondir.Recognise(dir)
	if errors.Is(err, sessiondir.ErrNotSessions) {
		return l, &usageError{err}
	}
	return l, err
}

func checkDirectory(ctx context.Context, dir string, flags checkFlags, env *environment) error {
	l, err := recognise(dir)
	if err != nil {
		return err
	}
	o := sessiondir.Options{Now: time.Now()}
	if flags.open {
		if o.Open, err = recordOpener(env); err != nil {
			return err
		}
	}
	p := newProgress(env, "checking", 0)
	defer p.Done()
	o.Read, o.Part = p.Add, p.Part
	report := &checkReport{}
	if flags.repair {
		report.Repaired, err = sessiondir.Repair(ctx, l, o)
		if err != nil {
			return told(ctx, err)
		}
		if l, err = recognise(dir); err != nil {
			return err
		}
		p.Next("checking again", 0)
	}
	found, err := sessiondir.Check(ctx, l, o)
	p.Done()
	if err != nil {
		return told(ctx, err)
	}
	report.Report = *found
	if err := write(env.stdout, report, flags.json); err != nil {
		return err
	}
	if !report.Well {
		return fmt.Errorf("%s is damaged", dir)
	}
	return nil
}

// told returns the error of a command that may have been interrupted.
func told(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// checkReport is a report, with the steps of the repair before it.
type checkReport struct {
	sessiondir.Report
	Repaired []string `json:"repaired,omitempty"`
}

// mostFindings bounds the findings in the text. JSON has all.
const mostFindings = 50

// WriteText writes the report for people.
func (r *checkReport) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, step := range r.Repaired {
		fmt.Fprintf(&b, "repaired  %s\n", step)
	}
	fmt.Fprintf(&b, "%s: sessions of %s, %s records in %s files of %s bytes", r.Dir, r.Engine, grouped(r.Records), grouped(r.Files), grouped(r.Bytes))
	if r.Expired > 0 {
		fmt.Fprintf(&b, "; %s more have expired", grouped(r.Expired))
	}
	if r.FreeBytes >= 0 {
		fmt.Fprintf(&b, "; %s bytes are free", grouped(r.FreeBytes))
	}
	b.WriteByte('\n')
	if r.InUse != "" {
		fmt.Fprintf(&b, "in use by %s: this is what there was while it was read\n", r.InUse)
	}
	for _, s := range r.Shards {
		state := "well"
		switch {
		case s.Unknown:
			state = fmt.Sprintf("damaged in %d places; at least %d sessions are lost, perhaps more", s.Damage, s.Lost)
		case s.Lost > 0:
			state = fmt.Sprintf("damaged in %d places; %d sessions are lost", s.Damage, s.Lost)
		case s.Damage > 0:
			state = fmt.Sprintf("damaged in %d places; no session is lost", s.Damage)
		}
		fmt.Fprintf(&b, "shard %-3d %10s records  %s\n", s.Shard, grouped(s.Records), state)
	}
	for i, f := range r.Findings {
		if i == mostFindings {
			fmt.Fprintf(&b, "and %d more, which --json shows\n", len(r.Findings)-i)
			break
		}
		at := f.File
		if f.Offset != nil {
			at += fmt.Sprintf(", byte %d", *f.Offset)
		}
		fmt.Fprintf(&b, "%-7s %s %s (%s)\n", f.Severity, at, f.Text, f.Remedy)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

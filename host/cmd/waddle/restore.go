package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/archive"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/sessiondir"
)

func newRestore(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore FILE DIR",
		Short: "make a directory of sessions from a backup",
		Long: `
Makes DIR, which must be empty or not exist, from a backup by 'waddle backup'.
If FILE is -, the backup comes from standard input. The engine that kept the
sessions writes them again; then they are compared with the backup. Only a whole
backup is restored. If the command is killed, DIR has no sessions, or the engine
refuses it, and another restore begins anew.

CAUTION: sessions that were ended after the backup was begun come back. Whoever
still has the cookie of one that a user has logged out of, or that you have
revoked, is logged in again, with the roles and rights that were kept in the
session then. If that must not happen, do not restore, and let your users log in
again; or end all sessions of those users with 'waddle sessions' before the
server answers requests.

Sessions that have expired meanwhile are left out. Sealed values stay sealed:
the server needs the secrets of that time.`,
		Example: `  waddle restore sessions.backup /var/lib/sessions
  ssh elsewhere cat sessions.backup | waddle restore - /var/lib/sessions
  waddle restore sessions.backup /var/lib/sessions --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("restore takes a file and a directory, got %d arguments: waddle restore FILE DIR", len(args))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return nil, cobra.ShellCompDirectiveDefault
			case 1:
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := untilPipeBreaks(cmd.Context())
			defer cancel()
			return restoreBackup(ctx, args[0], args[1], asJSON, env)
		},
	}
	addJSON(cmd, &asJSON)
	return cmd
}

func restoreBackup(ctx context.Context, file, dir string, asJSON bool, env *environment) error {
	in, err := openBackup(file, env)
	if err != nil {
		return err
	}
	defer in.Close()
	p := newProgress(env, "restoring", 0)
	done, err := sessiondir.Restore(ctx, bufio.NewReader(measured(in, p)), dir, sessiondir.Options{
		Now: time.Now(), Read: p.Add, Part: p.Part, Compare: func() { p.Next("comparing", 0) },
	})
	p.Done()
	switch {
	case errors.Is(err, sessiondir.ErrNotEmpty):
		return &usageError{err}
	case errors.Is(err, archive.ErrDamaged):
		return fmt.Errorf("%s: %w; nothing was restored", file, err)
	case err != nil:
		return told(ctx, err)
	}
	since := done.Manifest.Begun
	if done.Manifest.AsOf != nil {
		since = *done.Manifest.AsOf
	}
	fmt.Fprintf(env.stderr, "waddle: warning: sessions that were ended since %s are back: whoever has the cookie of one is logged in again\n", since.Format(time.RFC3339))
	return write(env.stdout, &restoreReport{dir, done.Manifest.Engine, done.Records, done.Expired, since, done.End.Lost}, asJSON)
}

// restoreReport says what a restore did.
type restoreReport struct {
	Dir     string    `json:"dir"`
	Engine  string    `json:"engine"`
	Records int       `json:"records"`
	Expired int       `json:"expired"` // since the backup, and left out
	Since   time.Time `json:"since"`   // sessions that were ended after this are back
	Lost    int       `json:"lost"`    // places that could not be read when the backup was made
}

// WriteText writes the report for people.
func (r *restoreReport) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s records of %s are restored, and compared with the backup", r.Dir, grouped(int64(r.Records)), r.Engine)
	if r.Expired > 0 {
		fmt.Fprintf(&b, "; %s have expired since and were left out", grouped(int64(r.Expired)))
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, "; %d places could not be read when the backup was made", r.Lost)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/archive"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/sessiondir"
)

func newBackup(env *environment) *cobra.Command {
	var flags backupFlags
	cmd := &cobra.Command{
		Use:   "backup DIR FILE",
		Short: "copy a directory of sessions to a file, while it is served",
		Long: `
Writes the sessions of a directory of keyfolder, dynfile or memory to FILE, or
to standard output if FILE is -. A server may use the directory meanwhile: it is
neither stopped nor locked out, and slowed down only by the reading.

Every session in the backup was in the store at some moment of the backup.
Sessions that were stored before and stayed are in it; those that were ended
before are not. A session that gets a new id meanwhile is there under the old
id, the new one, or both. Engine memory keeps its sessions in the server: the
backup has its last snapshot, and says when that was made.

FILE is a tar file compressed with gzip, which only its owner may read. It
appears in one step when it is whole and on the disk. Its records are sealed if
they are sealed in the store: without WADDLE_SECRET they are not, and FILE has
visitors' values in the clear.

--verify FILE reads a backup to its end, and reports what it has and whether it
is whole.

The exit code is 1 if parts of the directory could not be read. FILE then has
the rest.`,
		Example: `  waddle backup /var/lib/sessions sessions.backup
  waddle backup /var/lib/sessions /backups/today --replace --json
  waddle backup /var/lib/sessions - | ssh elsewhere 'cat > sessions.backup'
  waddle backup --verify sessions.backup`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case flags.verify && len(args) != 1:
				return usagef("--verify takes one file, got %d: waddle backup --verify FILE", len(args))
			case flags.verify && flags.replace:
				return usagef("--replace has no effect with --verify: leave it out")
			case flags.verify || len(args) == 2:
				return nil
			}
			return usagef("backup takes a directory and a file, got %d arguments: waddle backup DIR FILE", len(args))
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			switch {
			case flags.verify && len(args) == 0 || !flags.verify && len(args) == 1:
				return nil, cobra.ShellCompDirectiveDefault
			case len(args) == 0:
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := untilPipeBreaks(cmd.Context())
			defer cancel()
			if flags.verify {
				return verifyBackup(ctx, args[0], flags.json, env)
			}
			return backUp(ctx, args[0], args[1], flags, env)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.verify, "verify", false, "read a backup instead of making one")
	f.BoolVar(&flags.replace, "replace", false, "replace FILE if it exists")
	addJSON(cmd, &flags.json)
	return cmd
}

type backupFlags struct{ verify, replace, json bool }

func backUp(ctx context.Context, dir, file string, flags backupFlags, env *environment) error {
	if file == standard && flags.json {
		return usagef("the backup itself goes to standard output, so --json cannot be written there: leave it out, or name a file")
	}
	l, err := recognise(dir)
	if err != nil {
		return err
	}
	p := newProgress(env, "backing up", 0)
	o := sessiondir.Options{Now: time.Now(), Read: p.Add, Part: p.Part}
	report := &backupReport{File: file, verb: "backed up"}
	if file == standard {
		out := bufio.NewWriter(env.stdout)
		report.Manifest, report.End, err = sessiondir.Backup(ctx, l, out, version().Version, o)
		if err == nil {
			err = out.Flush()
		}
	} else {
		report.Manifest, report.End, err = sessiondir.BackupFile(ctx, l, file, flags.replace, version().Version, o)
	}
	p.Done()
	switch {
	case errors.Is(err, os.ErrExist):
		return usagef("%s exists: choose another name, or replace it with --replace", file)
	case err != nil:
		return told(ctx, err)
	}
	if file != standard {
		if err := write(env.stdout, report, flags.json); err != nil {
			return err
		}
	}
	return report.lost()
}

// standard stands for standard input or output.
const standard = "-"

func verifyBackup(ctx context.Context, file string, asJSON bool, env *environment) error {
	in, err := openBackup(file, env)
	if err != nil {
		return err
	}
	defer in.Close()
	p := newProgress(env, "verifying", 0)
	report := &backupReport{File: file, verb: "whole"}
	err = await(ctx, func() (err error) {
		report.Manifest, report.End, err = sessiondir.Verify(bufio.NewReader(measured(in, p)), sessiondir.Options{Read: p.Add})
		return err
	})
	p.Done()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := write(env.stdout, report, asJSON); err != nil {
		return err
	}
	return report.lost()
}

func openBackup(file string, env *environment) (io.ReadCloser, error) {
	if file == standard {
		return io.NopCloser(env.stdin), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close()
		return nil, usagef("%s is a directory: must be a backup", file)
	}
	return f, nil
}

// measured returns what reads a backup and tells how much of its file that is.
func measured(in io.Reader, p *progress) io.Reader {
	f, ok := in.(*os.File)
	if !ok {
		return in
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return in
	}
	return &measuredReader{Reader: f, progress: p, size: info.Size()}
}

type measuredReader struct {
	io.Reader
	progress   *progress
	read, size int64
}

func (m *measuredReader) Read(b []byte) (int, error) {
	n, err := m.Reader.Read(b)
	m.read += int64(n)
	m.progress.Part(m.read, m.size)
	return n, err
}

// backupReport is what a backup has.
type backupReport struct {
	File     string           `json:"file"`
	Manifest archive.Manifest `json:"manifest"`
	End      archive.End      `json:"end"`
	verb     string
}

func (r *backupReport) lost() error {
	if r.End.Lost > 0 {
		return fmt.Errorf("%d places of the directory could not be read, so sessions are missing in the backup: 'waddle check' tells which", r.End.Lost)
	}
	return nil
}

// WriteText writes the report for people.
func (r *backupReport) WriteText(w io.Writer) error {
	var b strings.Builder
	m := r.Manifest
	fmt.Fprintf(&b, "%s: %s, %s records of %s, %s bytes, begun %s\n", r.File, r.verb, grouped(int64(r.End.Records)), m.Engine, grouped(int64(r.End.Bytes)),
		m.Begun.Format(time.RFC3339))
	if m.AsOf != nil {
		fmt.Fprintf(&b, "they come from the snapshot of %s: later changes and ends are not in it\n", m.AsOf.Format(time.RFC3339))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

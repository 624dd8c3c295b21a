package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/migration"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

type migrateFlags struct {
	from, to             string
	codec, newSecretFile string
	unseal, unsealed     bool // at the target, and at the source
	asText, skip, update bool
	shards               int
	config               map[string]string // of the target
	journal              string
	dry, json, verbose   bool
}

func newMigrate(env *environment) *cobra.Command {
	var flags migrateFlags
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "move all sessions to another engine, number of shards, codec or secret",
		Long: `
Moves all records of one place to another, reads them back and compares them:
values, expiry, revisions, lists of users' sessions, and what is left of ended
ones. Nobody is logged out, and nothing is changed at the source. A place is

  ENGINE:DIR   a directory of keyfolder, dynfile or memory, or of the engine in a .wasm
               file; without ENGINE, the files in the directory tell it
  URL          a server: redis://…, postgres://…, as SESSION_STORAGE has it

The target must be new or empty. During a migration a journal lies beside it.
After an interruption, a crash or a full disk run the same command again, and it
goes on. Records that the source no longer has are then removed from the
target.

Stop the programs that use the source. A directory is locked. A server is not:
changes there during the migration are found at the end and written again, but
later changes are missing. Or migrate while programs run, stop them, and run the
same command again with --update, which writes only what has changed.

By default records stay as they are, sealed or not. With --codec,
--new-secret-file and --unseal they change, and WADDLE_SECRET or
WADDLE_SECRET_FILE opens sealed ones. Values are converted exactly, or refused
by name. JSON has no numbers that are not finite. Unless --as-text is given,
bytes, times, and numbers as keys of maps are refused, too. JSON does not tell
text from bytes: if programs read bytes, do not convert to CBOR with this
command, but with session.Settings.ReadCodecs.

The exit code is 0 if every record has arrived, and 1 if not.`,
		Example: `  waddle migrate --from keyfolder:/var/lib/old --to dynfile:/var/lib/new
  waddle migrate --from /var/lib/old --to redis://sessions@10.1.0.7/0 --dry-run
  waddle migrate --from dynfile:old --to dynfile:new --shards 16
  waddle migrate --from old --to dynfile:new --new-secret-file new.secret
  waddle migrate --from old --to dynfile:new --codec json --as-text --json`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("migrate takes flags only, got %s: waddle migrate --from PLACE --to PLACE", strings.Join(args, " "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return runMigrate(cmd.Context(), flags, env) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.from, "from", "", "move the records of `PLACE`")
	f.StringVar(&flags.to, "to", "", "to `PLACE`")
	f.StringVar(&flags.codec, "codec", "", "encode values by `CODEC`, cbor or json")
	f.StringVar(&flags.newSecretFile, "new-secret-file", "", "seal the records with the secret in `FILE`")
	f.BoolVar(&flags.unseal, "unseal", false, "leave the records unsealed, if they are sealed")
	f.BoolVar(&flags.unsealed, "accept-unsealed", false, "also take records that are not sealed where a secret is given; whoever could write to the storage may have made them")
	f.BoolVar(&flags.asText, "as-text", false, "with --codec json, make text of bytes (base64), times (RFC 3339) and numbers as keys, as the codec does with Go's types")
	f.BoolVar(&flags.skip, "skip-unreadable", false, "leave out records that cannot be read or converted")
	f.IntVar(&flags.shards, "shards", 0, "spread the target over `N` shards, a power of two")
	f.Var((*settingsFlag)(&flags.config), "to-config", "give the target's engine the setting `NAME=VALUE`; may be repeated")
	f.StringVar(&flags.journal, "journal", "", "keep the journal in `FILE` (default: beside the target's directory, or waddle-migration.json here)")
	f.BoolVar(&flags.update, "update", false, "the target has records of an earlier migration from this source: bring it up to date, and remove from it what the source does not have")
	f.BoolVar(&flags.dry, "dry-run", false, "read and convert every record, and write nothing")
	addJSON(cmd, &flags.json)
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "show the engines' log, including debug level")
	mustComplete(cmd, "from", completePlace)
	mustComplete(cmd, "to", completePlace)
	fixed(cmd, "codec", "cbor", "json")
	mustComplete(cmd, "to-config", cobra.NoFileCompletions)
	for _, name := range []string{"new-secret-file", "journal"} {
		mustComplete(cmd, name, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		})
	}
	return cmd
}

// conversion returns how the records change, and the same in words for the journal,
// without secrets.
func (f *migrateFlags) conversion(env *environment) (c session.Conversion, how string, err error) {
	settings, err := session.FromEnv(env.variables)
	if err != nil {
		return c, "", &usageError{err}
	}
	var says []string
	switch f.codec {
	case "":
	case "cbor":
		c.Codec = session.CBOR
	case "json":
		c.Codec = session.JSON
	default:
		return c, "", usagef("--codec is %q: must be cbor or json", f.codec)
	}
	if f.codec != "" {
		says = append(says, "codec "+f.codec)
	}
	switch {
	case f.unseal && f.newSecretFile != "":
		return c, "", usagef("--unseal and --new-secret-file are both given: must be one of them")
	case f.asText && f.codec != "json":
		return c, "", usagef("--as-text has no effect without --codec json: leave it out")
	case f.unseal && settings.Keyring == nil:
		return c, "", usagef("--unseal needs the secret that the records are sealed with: set WADDLE_SECRET_FILE or WADDLE_SECRET")
	}
	changes := f.codec != "" || f.unseal || f.newSecretFile != ""
	if !changes {
		if f.unsealed {
			return c, "", usagef("--accept-unsealed has no effect where records stay as they are: leave it out")
		}
		return c, "as they are", nil
	}
	c.Open, c.Seal = settings.Keyring, settings.Keyring
	c.Unsealed, c.AsText = f.unsealed, f.asText
	if f.unsealed && c.Open == nil {
		return c, "", usagef("--accept-unsealed has no effect without WADDLE_SECRET or WADDLE_SECRET_FILE: leave it out")
	}
	if f.asText {
		says = append(says, "as text")
	}
	if f.unsealed {
		says = append(says, "unsealed accepted")
	}
	switch {
	case f.unseal:
		c.Seal = nil
		says = append(says, "unsealed")
	case f.newSecretFile != "":
		next, err := session.FromEnv([]string{"WADDLE_SECRET_FILE=" + f.newSecretFile})
		if err != nil {
			return c, "", usagef("--new-secret-file: %w", err)
		}
		c.Seal = next.Keyring
		says = append(says, "sealed with the secret in "+f.newSecretFile)
	}
	return c, strings.Join(says, ", "), nil
}

func runMigrate(ctx context.Context, flags migrateFlags, env *environment) error {
	if flags.from == "" || flags.to == "" {
		return usagef("--from or --to is missing: waddle migrate --from PLACE --to PLACE; a place is %s", placeForms)
	}
	from, err := parsePlace(flags.from)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	if from.Dir != "" {
		if err := checkDir(from.Dir); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	to, err := flags.target()
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if same(from, to) {
		return usagef("--from and --to are both %s: must be two places", placeName(from))
	}
	conversion, how, err := flags.conversion(env)
	if err != nil {
		return err
	}
	converter, err := session.NewConverter(conversion)
	if err != nil {
		return err
	}
	defer limitsFrom(plugin.DefaultHost(), env.stderr)()
	source, err := openPlace(ctx, from, flags.verbose, env)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	defer source.Close(context.WithoutCancel(ctx))
	bar := newProgress(env, "moving", 0)
	defer bar.Done()
	plan := migration.Plan{
		From: source, Converter: converter, Skip: flags.skip, Did: bar.Add,
		Begin: func(what string, total int64) { bar.Next(what, total) },
	}
	if flags.dry {
		found, err := migration.Try(ctx, plan)
		bar.Done()
		return flags.report(env, found, err, "would be moved; nothing was written")
	}

	journal, resumed, err := migration.Open(flags.journalFor(to), migration.Move{From: placeName(from), To: placeName(to), How: how})
	if err != nil {
		return fmt.Errorf("%w; finish that migration, or remove the file if the target is no longer wanted", err)
	}
	target, err := openPlace(ctx, to, flags.verbose, env)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if resumed {
		fmt.Fprintf(env.stderr, "waddle: going on with the migration that was begun at %s\n", journal.Begun.Local().Format("2006-01-02 15:04:05"))
	}
	// The journal lets another run remove records from the target, so it begins when that is
	// known to be empty, and not before.
	plan.To, plan.Resume = target, resumed || flags.update
	if !resumed {
		plan.Start = journal.Begin
	}
	found, err := migration.Run(ctx, plan)
	bar.Done()
	if errors.Is(err, migration.ErrNotEmpty) {
		_ = target.Close(context.WithoutCancel(ctx))
		return usagef("%s has records already: must be a new or empty place, or --update be given if they come from an earlier move", placeName(to))
	}
	// Nothing is durable for certain until the target is closed.
	if failed := target.Close(context.WithoutCancel(ctx)); failed != nil {
		err = cmp.Or(err, fmt.Errorf("closing the target: %w", failed))
	}
	if err == nil {
		err = journal.Done()
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	return flags.report(env, found, err, "moved and compared")
}

// target returns the place to move to.
func (f *migrateFlags) target() (engines.Settings, error) {
	to, err := parsePlace(f.to)
	if err != nil {
		return to, err
	}
	to.Config.Shards, to.Config.GuestConfig = f.shards, f.config
	if engines.IsServer(to.Storage) && f.shards != 0 {
		return to, usagef("--shards is %d, and a server has none: leave it out", f.shards)
	}
	if f.shards < 0 || f.shards&(f.shards-1) != 0 {
		return to, usagef("--shards is %d: must be a power of two", f.shards)
	}
	return to, nil
}

// same reports whether two places are one.
func same(a, b engines.Settings) bool {
	if a.Dir == "" || b.Dir == "" {
		return a.Dir == b.Dir && a.Storage == b.Storage
	}
	x, errX := os.Stat(a.Dir)
	y, errY := os.Stat(b.Dir)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func (f *migrateFlags) journalFor(to engines.Settings) string {
	switch {
	case f.journal != "":
		return f.journal
	case to.Dir != "":
		return filepath.Clean(to.Dir) + ".migration"
	}
	return "waddle-migration.json"
}

// report says what was done, and what could not be done.
func (f *migrateFlags) report(env *environment, found migration.Result, err error, done string) error {
	if f.json {
		out := struct {
			migration.Result
			DryRun bool   `json:"dry_run"`
			Done   bool   `json:"done"`
			Error  string `json:"error,omitempty"`
		}{Result: found, DryRun: f.dry, Done: err == nil}
		if err != nil {
			out.Error = err.Error()
		}
		if failed := json.NewEncoder(env.stdout).Encode(out); failed != nil {
			return failed
		}
	} else {
		f.text(env.stdout, found, err, done)
	}
	var full *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, migration.ErrRefused):
		return fmt.Errorf("%w; all others were read; 'waddle sessions show HANDLE' shows one, and --skip-unreadable leaves them out", err)
	case f.dry || errors.As(err, &full):
		return err
	}
	return fmt.Errorf("%w; nothing was changed at the source: run the same command again to go on", err)
}

func (f *migrateFlags) text(w io.Writer, found migration.Result, err error, done string) {
	if err == nil {
		fmt.Fprintf(w, "%s records %s", grouped(found.Found-found.Skipped), done)
		for _, part := range []struct {
			n    int64
			what string
		}{
			{found.Kept, "were there already"}, {found.Again, "were written again, since programs changed them meanwhile"},
			{found.Removed, "were removed from the target, since they have ended"}, {found.Skipped, "were left out"},
		} {
			if part.n > 0 {
				fmt.Fprintf(w, ";\n  %s %s", grouped(part.n), part.what)
			}
		}
		fmt.Fprintln(w)
	}
	for _, r := range found.Refused {
		fmt.Fprintf(w, "%s: %s\n", r.Handle, strings.Replace(r.Error, "Conversion.AsText makes", "--as-text makes", 1))
	}
	if more := found.Skipped - int64(len(found.Refused)); more > 0 {
		fmt.Fprintf(w, "and %s more\n", grouped(more))
	}
}

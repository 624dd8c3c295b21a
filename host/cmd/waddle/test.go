package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/plugintest"
)

func newTest(env *environment) *cobra.Command {
	var flags testFlags
	cmd := &cobra.Command{
		Use:   "test FILE.wasm",
		Short: "hold a module to the conformance suite",
		Long: `
FILE.wasm is the path of a module, - for standard input, or a bundled engine by
its name: memory, keyfolder or dynfile.

The suite checks everything that abi/SPEC.md asks of a module, from its exports
to a hundred thousand operations after which its memory must have stopped
growing. A failure says what was called with which bytes, what came back, and
what the specification says, with its section. The same seed gives the same
checks again.

The module is run as one that is not trusted: a call that takes longer than
--deadline is ended. --trusted runs it as the bundled engines are run, without
one unless it is set; a call without an end is then one of the suite.

A module that needs a directory gets a temporary one at /data, or one that is
made within --mount; what it saves there must be found when it is opened again.

The specification lets a module evict, or answer NO_SPACE, at any number of
records. The suite finds out at which: it asks for up to 2500 small records at
once, and 3 MB, or for what the module holds, and of every one for 16 records
and 32 KiB. What takes more than there is room for is skipped with the reason.
--records and --bytes say what the module holds, where that is known better.

With --verbose the module's own log is shown, its debug level included, and for
a trap the stack, with names of functions if the module was built with them.

The exit code is 0 if no check failed, 1 if one did, and 2 for a mistake in the
arguments, a misspelt check or setting among them. An interrupt (Ctrl-C) ends
the suite with what is known so far.`,
		Example: `  waddle test my-engine.wasm
  waddle test my-engine.wasm --config max_records=1000 -v
  waddle test my-engine.wasm --only expiry,'set/over*' --seed 42
  waddle test my-engine.wasm --mount /mnt/slow-disk --skip soak
  waddle test my-engine.wasm --json > report.json`,
		Args:              oneModule,
		ValidArgsFunction: completeModule,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := untilPipeBreaks(cmd.Context())
			defer cancel()
			flags.deadlineSet = cmd.Flags().Changed("deadline")
			return testModule(ctx, args[0], flags, env)
		},
	}
	f := cmd.Flags()
	addConfig(cmd, &flags.settings)
	f.StringVar(&flags.mount, "mount", "", "make the module's directories in `DIR`, and remove them")
	addQuota(cmd, &flags.quota)
	f.StringSliceVar(&flags.only, "only", nil, "run these checks only: a `PATTERN`, or several with commas; a group's name stands for all of it")
	f.StringSliceVar(&flags.skip, "skip", nil, "leave out the checks that fit a `PATTERN`")
	f.Uint64Var(&flags.seed, "seed", 0, "the seed `N` of all that is random (default drawn, and shown)")
	f.IntVar(&flags.soak, "soak", 100_000, "the soak has `N` operations")
	f.IntVar(&flags.sequences, "sequences", 100, "hold `N` random sequences of operations against the reference")
	f.IntVar(&flags.records, "records", 0, "the module holds `N` small records at once (default found out)")
	f.IntVar(&flags.bytes, "bytes", 0, "the module holds `N` bytes of values at once (default found out)")
	f.IntVar(&flags.shards, "shards", 0, "run `N` instances where a check does not choose: a power of two (default 1)")
	f.DurationVar(&flags.deadline, "deadline", 5*time.Second, "end the module's start, or a call of it, that takes longer than `DURATION`")
	addTrusted(cmd, &flags.trusted)
	addJSON(cmd, &flags.json)
	addVerbose(cmd, &flags.verbose)
	directories(cmd, "mount")
	listed(cmd, "only", checkNames)
	listed(cmd, "skip", checkNames)
	return cmd
}

type testFlags struct {
	settings                map[string]string
	mount                   string
	quota                   quota
	only, skip              []string
	seed                    uint64
	soak, sequences, shards int
	records, bytes          int
	deadline                time.Duration
	deadlineSet             bool // by whoever runs the suite
	trusted, json, verbose  bool
}

func (f testFlags) check() error {
	switch {
	case f.soak < 1:
		return usagef("--soak is %d, and must be at least 1; leave the soak out with --skip soak", f.soak)
	case f.sequences < 1:
		return usagef("--sequences is %d, and must be at least 1", f.sequences)
	case f.records != 0 && f.records < storetest.LeastRecords:
		return usagef("--records is %d, and must be at least %d, or 0 to be found out", f.records, storetest.LeastRecords)
	case f.bytes != 0 && f.bytes < storetest.LeastBytes:
		return usagef("--bytes is %d, and must be at least %d, or 0 to be found out", f.bytes, storetest.LeastBytes)
	case !powerOfTwo(f.shards) && f.shards != 0:
		return usagef("--shards is %d, and must be a power of two", f.shards)
	case f.deadline <= 0:
		return usagef("--deadline is %v, and must be more than nothing: a call without an end would be one of the suite", f.deadline)
	}
	return cmp.Or(checkMount(f.mount), f.quota.check())
}

func powerOfTwo(n int) bool { return n > 0 && n&(n-1) == 0 }

// checkMount says what is wrong with a directory that others are to be made in.
func checkMount(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return usagef("--mount is %q, and must be a directory that exists: %w", dir, err)
	}
	if !info.IsDir() {
		return usagef("--mount is %q, which is a file, and must be a directory", dir)
	}
	return nil
}

func testModule(ctx context.Context, name string, flags testFlags, env *environment) error {
	if err := flags.check(); err != nil {
		return err
	}
	patterns := storetest.Options{Only: flags.only, Skip: flags.skip}
	if err := patterns.CheckPatterns(plugintest.Tests()); err != nil {
		return usagef("%w; 'waddle help test' tells more", err)
	}
	m, err := readModule(ctx, name, env)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "waddle-test-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	line := newProgress(env, flags.verbose)
	options := plugintest.Options{
		Options: storetest.Options{
			Target: filepath.Base(m.name), Soak: flags.soak, Sequences: flags.sequences, Seed: flags.seed,
			Records: flags.records, Bytes: flags.bytes,
			Only: flags.only, Skip: flags.skip, Dir: dir, Progress: checkProgress(line),
		},
		Settings:   flags.settings,
		Mount:      flags.mount,
		MountBytes: int64(flags.quota.bytes),
		MountFiles: flags.quota.files,
		// Errors of the guest are what checks provoke and report themselves.
		Config: plugin.Config{Name: filepath.Base(m.name), Shards: flags.shards, Trusted: flags.trusted,
			Logger: guestLogger(env, flags.verbose, slog.LevelError+1)},
	}
	if !flags.trusted || flags.deadlineSet {
		options.Config.Deadline, options.Config.OpenDeadline = flags.deadline, flags.deadline
	}
	var found *storetest.Report
	err = awaitLonger(ctx, patience, func() { found = plugintest.Check(ctx, m.wasm, options) })
	line.end()
	if err != nil {
		return err
	}
	if _, err := plugin.Check(m.wasm); found.Misuse != "" && err != nil {
		return fmt.Errorf("%s is no module: %w", found.Target, err)
	} else if found.Misuse != "" {
		return usagef("%s", found.Misuse)
	}
	if err := write(env.stdout, found, flags.json); err != nil {
		return err
	}
	switch {
	case found.Failed > 0:
		return fmt.Errorf("%s failed %d of %d checks", found.Target, found.Failed, found.Passed+found.Failed)
	case ctx.Err() != nil:
		return errInterrupted
	}
	return nil
}

// patience is how long to wait, after an interrupt, for a call of a module that is
// under way, or for its compilation.
const patience = 5 * time.Second

// awaitLonger waits for f, which ends soon after the context does. If it does not
// within the time, it is left behind.
func awaitLonger(ctx context.Context, longer time.Duration, f func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-done:
		return nil
	case <-time.After(longer):
		return fmt.Errorf("%w, while the module was being compiled or in a call, so that there is nothing to report", errInterrupted)
	}
}

// checkProgress shows which check runs and, within a long one, how far it is,
// which is told without the check's number.
func checkProgress(line *progress) func(storetest.Progress) {
	var number, of atomic.Int64
	return func(p storetest.Progress) {
		if p.Of > 0 {
			number.Store(int64(p.Number))
			of.Store(int64(p.Of))
		}
		text := fmt.Sprintf("[%d/%d] %s", number.Load(), of.Load(), p.Check)
		if p.Total > 0 {
			text += fmt.Sprintf(": %d of %d", p.Done, p.Total)
		}
		line.show("%s", text)
	}
}

// checkNames are the names of groups and checks for completion.
func checkNames() []cobra.Completion {
	var all []cobra.Completion
	last := ""
	for _, t := range plugintest.Tests() {
		if group := path.Dir(t.Name); group != last {
			all = append(all, cobra.CompletionWithDesc(group, "all of this group"))
			last = group
		}
		all = append(all, cobra.CompletionWithDesc(t.Name, t.Requires))
	}
	return all
}

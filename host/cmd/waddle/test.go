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
		Short: "run the conformance suite on a module",
		Long: `
FILE.wasm is the path of a module, - for standard input, or a bundled engine by
its name: memory, keyfolder or dynfile.

The suite checks everything that abi/SPEC.md requires of a module, from its
exports to a hundred thousand operations after which its memory must have stopped
growing. A failure shows the call with its bytes, the result, and the requirement
with its section of the specification. The same seed gives the same checks again.

The module is not trusted: it runs metered, and a call is ended at the bound of
--deadline or --fuel. --trusted runs it unmetered, like a bundled engine; a call
that never ends then hangs the suite.

Unless --only chooses checks, the report also tells the fuel that each operation
uses, measured over a small fixed sequence: opening an instance, get, set, touch and
delete of 16 small records, and a sweep of 16. The figures are the same on every
machine. A module that draws random numbers, as Go's runtime does, varies a little.

A module that needs a directory gets a temporary one at /data, or one made within
--mount. It must find what it saved there when it is opened again.

A module that keeps its records on a server is granted the connections of --connect,
and those of --private if they lead to no public address. --namespace names the
setting by which the module keeps stores on one server apart: each store that a
check opens gets a value of its own, and checks of several hosts run as well.

The specification lets a module evict, or answer NO_SPACE, at any number of
records. The suite finds that number: it asks for up to 2500 small records at
once and 3 MB, or for as much as the module holds. Every module must hold 16
records and 32 KiB. Checks that need more room are skipped with the reason.
--records and --bytes set what the module holds, if you know it better.

--verbose shows the module's own log, including debug level, and the stack of a
trap, with names of functions if the module was built with them.

The exit code is 0 if no check failed, 1 if one did, and 2 for a mistake in the
arguments, including a misspelt check or setting. After an interrupt (Ctrl-C) the
suite reports what it has found so far.`,
		Example: `  waddle test my-engine.wasm
  waddle test my-engine.wasm --config max_records=1000 -v
  waddle test my-engine.wasm --only expiry,'set/over*' --seed 42
  waddle test my-engine.wasm --mount /mnt/slow-disk --skip soak
  waddle test my-engine.wasm --connect tcp://db.example.com:6379 --namespace prefix
  waddle test my-engine.wasm --json > report.json`,
		Args:              oneModule,
		ValidArgsFunction: completeModule,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := untilPipeBreaks(cmd.Context())
			defer cancel()
			flags.bounds.note(cmd)
			return testModule(ctx, args[0], flags, env)
		},
	}
	f := cmd.Flags()
	addConfig(cmd, &flags.settings)
	f.StringVar(&flags.mount, "mount", "", "make the module's directories in `DIR`, and remove them at the end")
	addQuota(cmd, &flags.quota)
	flags.server.add(cmd)
	f.StringSliceVar(&flags.only, "only", nil, "run only these checks: a `PATTERN`, or several with commas; a group's name stands for all its checks")
	f.StringSliceVar(&flags.skip, "skip", nil, "skip the checks that match a `PATTERN`")
	f.Uint64Var(&flags.seed, "seed", 0, "use the seed `N` for everything random (default drawn at random and shown)")
	f.IntVar(&flags.soak, "soak", 100_000, "run a soak of `N` operations")
	f.IntVar(&flags.sequences, "sequences", 100, "compare `N` random sequences of operations with the reference")
	f.IntVar(&flags.records, "records", 0, "the module holds `N` small records at once (default: found by the suite)")
	f.IntVar(&flags.bytes, "bytes", 0, "the module holds `N` bytes of values at once (default: found by the suite)")
	f.IntVar(&flags.shards, "shards", 0, "run `N` instances, a power of two, unless a check chooses the number (default 1)")
	addBounds(cmd, &flags.bounds, "no bound")
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
	server                  serverFlags
	only, skip              []string
	seed                    uint64
	soak, sequences, shards int
	records, bytes          int
	bounds                  bounds
	trusted, json, verbose  bool
}

func (f testFlags) check() error {
	switch {
	case f.soak < 1:
		return usagef("--soak is %d: must be at least 1; --skip soak leaves the soak out", f.soak)
	case f.sequences < 1:
		return usagef("--sequences is %d: must be at least 1", f.sequences)
	case f.records != 0 && f.records < storetest.LeastRecords:
		return usagef("--records is %d: must be at least %d, or 0 to let the suite find it", f.records, storetest.LeastRecords)
	case f.bytes != 0 && f.bytes < storetest.LeastBytes:
		return usagef("--bytes is %d: must be at least %d, or 0 to let the suite find it", f.bytes, storetest.LeastBytes)
	case !powerOfTwo(f.shards) && f.shards != 0:
		return usagef("--shards is %d: must be a power of two", f.shards)
	}
	return cmp.Or(f.bounds.check(f.trusted), checkMount(f.mount), f.quota.check(), f.server.check())
}

func powerOfTwo(n int) bool { return n > 0 && n&(n-1) == 0 }

// checkMount says what is wrong with a directory in which others will be made.
func checkMount(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return usagef("--mount is %q: must be an existing directory: %w", dir, err)
	}
	if !info.IsDir() {
		return usagef("--mount is %q, a file: must be a directory", dir)
	}
	return nil
}

func testModule(ctx context.Context, name string, flags testFlags, env *environment) error {
	if err := flags.check(); err != nil {
		return err
	}
	patterns := storetest.Options{Only: flags.only, Skip: flags.skip}
	if err := patterns.CheckPatterns(plugintest.Tests()); err != nil {
		return usagef("%w; see 'waddle help test'", err)
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
	// Checks try keys and values of all sizes, and fill memories.
	defer limitsFrom(plugin.DefaultHost(), env.stderr, plugin.LimitKey, plugin.LimitValue, plugin.LimitMemory)()
	line := newStatusLine(env, flags.verbose)
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
		// Checks provoke the guest's errors and report them themselves.
		Config: plugin.Config{Name: filepath.Base(m.name), Shards: flags.shards, Trusted: flags.trusted,
			Logger: guestLogger(env, flags.verbose, slog.LevelError+1)},
		Namespace: flags.server.namespace,
	}
	if options.Config.Network, err = flags.server.network(); err != nil {
		return err
	}
	if !flags.trusted {
		flags.bounds.unhurried(&options.Config)
		options.Config.OpenDeadline = flags.bounds.deadline
	}
	var found *storetest.Report
	err = awaitLonger(ctx, patience, func() { found = plugintest.Check(ctx, m.wasm, options) })
	line.end()
	if err != nil {
		return err
	}
	if _, err := plugin.Validate(m.wasm); found.Misuse != "" && err != nil {
		return fmt.Errorf("%s is not a module: %w", found.Target, err)
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

// patience is how long to wait, after an interrupt, for a running call of a module
// or for its compilation.
const patience = 5 * time.Second

// awaitLonger waits for f, which ends soon after the context does. If it does not
// end in time, awaitLonger leaves it behind.
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
		return fmt.Errorf("%w while the module was being compiled or called: there is nothing to report", errInterrupted)
	}
}

// checkProgress shows which check runs and, within a long one, its progress. Such a
// report comes without the check's number.
func checkProgress(line *statusLine) func(storetest.Progress) {
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

// checkNames returns the names of groups and checks for completion.
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

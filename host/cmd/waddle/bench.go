package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/loadtest"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
	"github.com/waddle-sessions/waddle/host/store"
)

func newBench(env *environment) *cobra.Command {
	var flags benchFlags
	cmd := &cobra.Command{
		Use:   "bench FILE.wasm",
		Short: "compare a module's speed with a bundled engine's",
		Long: `
FILE.wasm is the path of a module, - for standard input, or a bundled engine by
its name: memory, keyfolder or dynfile.

bench measures operations per second and how long they take (the median, the
times that 90, 99 and 99.9 per cent do not exceed, and the longest), for every
combination of operation, size of values, number of shards and number of
concurrent workers. The operations are get, set, get+set (a read, and a write if
nobody wrote meanwhile) and mix (nine reads to one such pair), each on one of up
to 10,000 records, chosen at random. Module and bundled engine take turns, round
by round, so that a disturbance of the machine affects both. Trust their ratio
most.

A module that uses files gets a temporary directory, or one within --mount, which
chooses their disk. So does the bundled engine.

A module from a file is not trusted: it and the bundled engine run metered, with the
bounds of --deadline and --fuel for each call. --trusted runs both unmetered, after
one short trial that is metered. Either way the report tells how much fuel a call
uses, the median and the most, counted apart from the rounds.

The exit code is 1 if any operation failed. After an interrupt (Ctrl-C) bench
reports what it has measured so far.`,
		Example: `  waddle bench my-engine.wasm
  waddle bench my-engine.wasm --trusted
  waddle bench my-engine.wasm --operations get,set --value-size 300 --concurrency 1,4,16
  waddle bench my-engine.wasm --against keyfolder --mount . --duration 5s
  waddle bench memory --against none --shards 1,2,4 --json`,
		Args:              oneModule,
		ValidArgsFunction: completeModule,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := untilPipeBreaks(cmd.Context())
			defer cancel()
			flags.bounds.note(cmd)
			return benchModule(ctx, args[0], flags, env)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.against, "against", memory.Name, "compare with `ENGINE`: memory, keyfolder, dynfile, or none")
	f.StringSliceVar(&flags.operations, "operations", []string{"get", "set", "get+set", "mix"}, "measure these operations, a `LIST` with commas")
	f.StringSliceVar(&flags.sizes, "value-size", []string{"128", "4KiB", "64KiB"}, "use values of these sizes, a `LIST` such as 300,4KiB,1MiB")
	f.IntSliceVar(&flags.shards, "shards", []int{0}, "run these numbers of instances, a `LIST` of powers of two; 0 for the host's own choice")
	f.IntSliceVar(&flags.concurrency, "concurrency", []int{1, 8}, "run these numbers of workers at once, a `LIST`")
	f.DurationVar(&flags.duration, "duration", 500*time.Millisecond, "measure each store for `DURATION` per figure")
	f.IntVar(&flags.rounds, "rounds", 5, "measure in `N` rounds, in which the stores take turns")
	addBounds(cmd, &flags.bounds, "no bound")
	addTrusted(cmd, &flags.trusted)
	f.StringVar(&flags.mount, "mount", "", "make directories for files in `DIR`, and remove them at the end")
	addQuota(cmd, &flags.quota)
	addConfig(cmd, &flags.settings)
	addJSON(cmd, &flags.json)
	addVerbose(cmd, &flags.verbose)
	fixed(cmd, "against", append(slices.Clone(bundledEngines), cobra.CompletionWithDesc("none", "the module alone"))...)
	listed(cmd, "operations", operationNames)
	listed(cmd, "value-size", func() []cobra.Completion { return []cobra.Completion{"128", "300", "4KiB", "64KiB", "1MiB"} })
	listed(cmd, "shards", func() []cobra.Completion { return []cobra.Completion{"1", "2", "4", "8", "16"} })
	listed(cmd, "concurrency", func() []cobra.Completion { return []cobra.Completion{"1", "2", "4", "8", "16", "64"} })
	directories(cmd, "mount")
	return cmd
}

type benchFlags struct {
	against             string
	operations, sizes   []string
	shards, concurrency []int
	duration            time.Duration
	bounds              bounds
	rounds              int
	mount               string
	quota               quota
	settings            map[string]string
	trusted             bool
	json, verbose       bool
}

// configOf is the configuration of both. If only one were metered, the figures would
// compare the metering. A bundled engine is metered if there are bounds.
func (f benchFlags) configOf(bundled bool) (cfg plugin.Config) {
	if cfg.Trusted = f.trusted || bundled && len(f.bounds.given) == 0; !cfg.Trusted {
		f.bounds.unhurried(&cfg)
	}
	return cfg
}

// metered is the config of the same module where it tells its fuel.
func (f benchFlags) metered(cfg plugin.Config) plugin.Config {
	cfg.Trusted = false
	f.bounds.unhurried(&cfg)
	cfg.OpenDeadline = f.bounds.deadline
	return cfg
}

func operationNames() []cobra.Completion {
	return []cobra.Completion{
		cobra.CompletionWithDesc("get", "reads"),
		cobra.CompletionWithDesc("set", "writes"),
		cobra.CompletionWithDesc("get+set", "a read and a write"),
		cobra.CompletionWithDesc("mix", "nine reads to one pair of read and write"),
	}
}

// plan makes a plan from the flags, without its targets.
func (f benchFlags) plan() (loadtest.Plan, error) {
	p := loadtest.Plan{Shards: f.shards, Concurrency: f.concurrency, Duration: f.duration, Rounds: f.rounds}
	for _, name := range f.operations {
		op := loadtest.Operation(name)
		if !slices.Contains(loadtest.Operations(), op) {
			return p, usagef("--operations has %q: must be get, set, get+set or mix", name)
		}
		p.Operations = append(p.Operations, op)
	}
	for _, text := range f.sizes {
		n, err := parseSize(text)
		if err != nil {
			return p, err
		}
		p.ValueSizes = append(p.ValueSizes, n)
	}
	for _, n := range f.shards {
		if n != 0 && !powerOfTwo(n) {
			return p, usagef("--shards has %d: must be powers of two, or 0 for the host's own choice", n)
		}
	}
	for _, n := range f.concurrency {
		if n < 1 || n > maxWorkers {
			return p, usagef("--concurrency has %d: must be numbers from 1 to %d", n, maxWorkers)
		}
	}
	switch {
	case len(p.Operations)*len(p.ValueSizes)*len(p.Shards)*len(p.Concurrency) == 0:
		return p, usagef("one of --operations, --value-size, --shards and --concurrency is empty: there is nothing to measure")
	case f.rounds < 1:
		return p, usagef("--rounds is %d: must be at least 1", f.rounds)
	case f.duration/time.Duration(f.rounds) < time.Millisecond:
		return p, usagef("--duration is %v in %d rounds: must be at least a millisecond per round", f.duration, f.rounds)
	}
	return p, cmp.Or(f.bounds.check(f.trusted), checkMount(f.mount), f.quota.check())
}

const maxWorkers = 1024

// parseSize reads a size in bytes, KiB or MiB.
func parseSize(text string) (int, error) {
	number, unit := text, 1
	for suffix, bytes := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if n, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = strings.TrimSpace(n), bytes
		}
	}
	n, err := strconv.Atoi(number)
	if err != nil || n > math.MaxInt32 || n*unit < abi.RevisionSize || n*unit > abi.MaxValue {
		return 0, usagef("--value-size has %q: must be sizes from %d bytes, the size of a revision, to %d MiB, such as 300, 4KiB or 1MiB",
			text, abi.RevisionSize, abi.MaxValue>>20)
	}
	return n * unit, nil
}

func benchModule(ctx context.Context, name string, flags benchFlags, env *environment) error {
	plan, err := flags.plan()
	if err != nil {
		return err
	}
	if (!engines.IsBundled(flags.against) || engines.IsServer(flags.against)) && flags.against != "none" {
		return usagef("--against is %q: must be memory, keyfolder, dynfile or none", flags.against)
	}
	m, err := readModule(ctx, name, env)
	if err != nil {
		return err
	}
	defer limitsFrom(plugin.DefaultHost(), env.stderr)()
	log := guestLogger(env, flags.verbose, slog.LevelWarn)
	base := flags.configOf(engines.IsBundled(m.name))
	base.Logger = log
	own := base
	own.GuestConfig = flags.settings
	open := openModule(m, flags.mount != "", flags.quota)
	dir, err := os.MkdirTemp(flags.mount, "waddle-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var failed error
	if err := awaitLonger(ctx, patience, func() { failed = tryModule(ctx, open, dir, flags.metered(own)) }); err != nil || failed != nil {
		return cmp.Or(err, failed)
	}
	label := filepath.Base(m.name)
	target := func(name string, open opener, cfg plugin.Config) loadtest.Target {
		return loadtest.Target{Name: name, Open: benchTarget(open, dir, cfg), OpenMetered: benchTarget(open, dir, flags.metered(cfg))}
	}
	plan.Targets = []loadtest.Target{target(label, open, own)}
	if flags.against != "none" {
		second := flags.against
		if second == label {
			second += " again"
		}
		plan.Targets = append(plan.Targets, target(second, openBundled(flags.against), base))
	}
	line := newStatusLine(env, flags.verbose)
	plan.Progress = func(done, total int, f loadtest.Figure) {
		left := time.Duration(total-done) * plan.Duration / time.Duration(plan.Rounds) * time.Duration(len(plan.Targets))
		line.show("[%d/%d] %s, %d bytes, %d at once; about %v left", done, total, f.Operation, f.ValueSize, f.Concurrency,
			left.Round(time.Second))
	}
	var found *loadtest.Report
	err = awaitLonger(ctx, patience, func() { found, failed = loadtest.Run(ctx, plan) })
	line.end()
	if err != nil {
		return err
	}
	if failed == nil || len(found.Figures) > 0 {
		if err := write(env.stdout, found, flags.json); err != nil {
			return err
		}
	}
	errored, first := found.Failed()
	switch {
	case failed != nil:
		return failed
	case errored > 0:
		return fmt.Errorf("%d operations failed, the first of %s", errored, first)
	case found.Interrupted:
		return errInterrupted
	}
	return nil
}

// usesFiles reports whether a module could do anything with a mount.
func usesFiles(m *preflight.Module) bool {
	uses, _ := plugin.Uses(m)
	return slices.ContainsFunc(uses, func(u plugin.Use) bool { return u.Grant == plugin.GrantMounts })
}

// openModule opens a bundled engine, or a module from a file, which gets the
// directory if it uses files.
func openModule(m *module, mount bool, q quota) opener {
	if engines.IsBundled(m.name) {
		return openBundled(m.name)
	}
	if module, refused := plugin.ValidateAll(m.wasm); len(refused) == 0 {
		mount = mount || usesFiles(module)
	}
	return func(ctx context.Context, dir string, cfg plugin.Config) (*plugin.Plugin, error) {
		cfg.Name = filepath.Base(m.name)
		if mount {
			cfg.Mounts = []plugin.Mount{q.mount(dir)}
		}
		return plugin.Open(ctx, m.wasm, cfg)
	}
}

// benchTarget opens the plugin in a new directory each time.
func benchTarget(open opener, parent string, cfg plugin.Config) func(ctx context.Context, shards int) (loadtest.Opened, error) {
	return func(ctx context.Context, shards int) (loadtest.Opened, error) {
		dir, err := os.MkdirTemp(parent, "store-")
		if err != nil {
			return loadtest.Opened{}, err
		}
		cfg.Shards = shards
		p, err := open(ctx, dir, cfg)
		if err != nil {
			return loadtest.Opened{}, errors.Join(err, os.RemoveAll(dir))
		}
		closing := func() error {
			return errors.Join(p.Close(context.WithoutCancel(ctx)), os.RemoveAll(dir))
		}
		opened := loadtest.Opened{Store: p, Shards: p.Info().Shards, MaxValue: p.Info().MaxValue, Close: closing}
		if !cfg.Trusted {
			opened.Fuel = func() uint64 { return operationFuel(p.Stats()) }
		}
		return opened, nil
	}
}

// operationFuel is the fuel of the operations that are measured, without that of the
// host's own calls.
func operationFuel(s plugin.Stats) uint64 {
	return s.Ops[string(store.OpGet)].Fuel + s.Ops[string(store.OpSet)].Fuel
}

// tryModule calls each measured operation once, metered: a call that never returns is
// found here, where it can be ended.
func tryModule(ctx context.Context, open opener, parent string, cfg plugin.Config) error {
	opened, err := benchTarget(open, parent, cfg)(ctx, 1)
	if err != nil {
		return err
	}
	report, err := loadtest.Run(ctx, loadtest.Plan{
		Targets:    []loadtest.Target{{Name: "the module", Open: func(context.Context, int) (loadtest.Opened, error) { return opened, nil }}},
		Operations: []loadtest.Operation{loadtest.GetSet}, ValueSizes: []int{abi.RevisionSize}, Shards: []int{1}, Concurrency: []int{1},
		Duration: time.Millisecond, Rounds: 1,
	})
	if err != nil {
		return fmt.Errorf("in a short trial: %w", err)
	}
	if n, first := report.Failed(); n > 0 {
		return fmt.Errorf("in a short trial operations failed, the first of %s", first)
	}
	if report.Interrupted {
		return errInterrupted
	}
	return nil
}

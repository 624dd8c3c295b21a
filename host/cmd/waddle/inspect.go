package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/inspect"
	"github.com/waddle-sessions/waddle/host/engines"
)

func newInspect(env *environment) *cobra.Command {
	var flags inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect FILE.wasm",
		Short: "show what a module is, what it may do, and why it would be refused",
		Long: `
FILE.wasm is the path of a module, - for standard input, or a bundled engine by
its name: memory, keyfolder, dynfile, redis or postgres. None of its code is run. The
URL of a server, as SESSION_STORAGE takes it, also shows what the engine may connect to.
The report shows the module's exports and imports, its memory, table and sizes,
its SHA-256, what its imports would let it do, what a host changes in it before
compiling it, whether it is trusted, and every reason why a host would refuse it.

--describe does run the module, up to its first operation: in one instance, with
little memory, two seconds for each step, and a temporary directory at /data. The
report then also shows the module's own name, version, capabilities and limits.
A module that opens only with settings needs --config.

The exit code is 0 if nothing was found against the module and 1 if it would be
refused. Only --describe finds the module's own description and whether it opens.`,
		Example: `  waddle inspect my-engine.wasm
  waddle inspect my-engine.wasm --describe --config max_records=100
  waddle inspect memory
  waddle inspect redis+sentinel://10.0.0.1,10.0.0.2/main
  curl -s https://example.com/engine.wasm | waddle inspect - --json`,
		Args:              oneModule,
		ValidArgsFunction: completeModule,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := untilPipeBreaks(cmd.Context())
			defer cancel()
			return inspectModule(ctx, args[0], flags, env)
		},
	}
	cmd.Flags().BoolVar(&flags.describe, "describe", false, "run the module and show how it describes itself")
	addConfig(cmd, &flags.settings)
	addJSON(cmd, &flags.json)
	addVerbose(cmd, &flags.verbose)
	return cmd
}

type inspectFlags struct {
	describe, json, verbose bool
	settings                map[string]string
}

func inspectModule(ctx context.Context, name string, flags inspectFlags, env *environment) error {
	if len(flags.settings) > 0 && !flags.describe {
		return usagef("--config is only for a module that is run: add --describe")
	}
	m, err := readStorage(ctx, name, env)
	if err != nil {
		return err
	}
	report := inspect.Of(m.name, m.wasm, m.size)
	_, bundled := bundledModules[m.name]
	report.Trusted, report.Reaches = bundled || m.reaches != nil, m.reaches
	if flags.describe && report.Accepted {
		description, err := describeModule(ctx, m, flags, env)
		if err != nil {
			return err
		}
		report.Add(description)
	}
	if err := write(env.stdout, report, flags.json); err != nil {
		return err
	}
	switch n := len(report.Refused); {
	case n == 1:
		return fmt.Errorf("%s would be refused", report.File)
	case n > 1:
		return fmt.Errorf("%s would be refused, for %d reasons", report.File, n)
	}
	return nil
}

// readStorage is readModule, and takes the URL of a server as well.
func readStorage(ctx context.Context, name string, env *environment) (*module, error) {
	if !engines.IsServer(name) {
		return readModule(ctx, name, env)
	}
	wasm, reaches, err := engines.Server(name)
	if errors.Is(err, engines.ErrSettings) {
		return nil, &usageError{err}
	}
	return &module{engines.Redacted(name), wasm, int64(len(wasm)), reaches}, err
}

func describeModule(ctx context.Context, m *module, flags inspectFlags, env *environment) (*inspect.Description, error) {
	dir, err := os.MkdirTemp("", "waddle-inspect-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	description, err := inspect.Describe(ctx, m.wasm, flags.settings, dir, guestLogger(env, flags.verbose, slog.LevelError))
	if err != nil {
		return nil, errInterrupted
	}
	return description, nil
}

// report is the result of a verb.
type report interface{ WriteText(w io.Writer) error }

func write(w io.Writer, r report, asJSON bool) error {
	if !asJSON {
		return r.WriteText(w)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

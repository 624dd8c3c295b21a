package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const defaultAddr = "127.0.0.1:8080"

func newRun(env *environment) *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run [FILE.wasm]",
		Short: "serve the playground, a page that shows a session and its engine at work",
		Long: settingsInHelp(`
The storage plugin FILE.wasm keeps the sessions. Without it, the storage that
SESSION_STORAGE names keeps them, or else the bundled engine "memory".
A plugin from a file runs metered: each call has the bounds of --deadline and
--fuel, and all calls together that of --fuel-rate. --trusted runs it unmetered, as
the bundled engines run unless one of these flags is given.

Settings come from the environment. Those of sessions have the same names as
everywhere:

  WADDLE_ADDR                where to listen, unless --addr is given
  WADDLE_HOSTS               names under which the page is reached, separated by
                             commas, unless --host is given
  WADDLE_PROBE_ADDR          where to answer probes, unless --probe-addr is given
  SESSION_STORAGE            memory, keyfolder, dynfile, the path of a .wasm file, or
                             the URL of a server: redis://user@host/0?password_file=…
                             or postgres://user@host/database?password_file=…
  SESSION_DIR                directory for keyfolder and dynfile, for snapshots of
                             memory, or for your own plugin, as /data; --mount-bytes
                             and --mount-files then limit it
  SESSION_DURABILITY         commit, interval or close: when files are made durable
  SESSION_LOCK_WAIT          how long to wait for a directory that another process
                             still holds, as in a rolling restart
  SESSION_DURATION           how long a session lives: 604800, 168h
  SESSION_IDLE_TIMEOUT       ends a session that is unused for this long
  SESSION_ABSOLUTE_TIMEOUT   ends a session this long after it began
  SESSION_COOKIE_SECURE      auto, true or false: keeps the cookie off plain HTTP
  WADDLE_SECRET              seals the sessions: at least 32 bytes that nobody can
                             guess; to change it, give several, newest first
  WADDLE_SECRET_FILE         a file with such secrets, one per line

OTHERS

With --probe-addr the program answers from its start to its end on an address of its
own, which visitors should not reach:

  GET /healthz   200 while the process is alive
  GET /readyz    200 while the storage answers, within two seconds; 503 with the
                 reason if not, and before and after the program serves
  GET /metrics   figures in the text format of Prometheus: requests, events of
                 sessions, operations of the storage, the plugin's memory,
                 records, evictions, fuel and limits

After an interrupt (Ctrl-C) or SIGTERM the program finishes the requests in
progress and saves the sessions, if there is a directory for them. A second one
ends it at once.`),
		Example: `  waddle run
  waddle run my-engine.wasm --addr 127.0.0.1:0 -v
  SESSION_STORAGE=keyfolder SESSION_DIR=sessions waddle run

Scripts can use the JSON interface beneath the page:

  curl -i -c jar -b jar http://` + defaultAddr + `/api/session
  curl -i -c jar -b jar -X POST http://` + defaultAddr + `/api/session/visits/increment
  curl -i -c jar -b jar -X PUT -H 'Content-Type: application/json' \
       -d '{"theme":"dark"}' http://` + defaultAddr + `/api/session/settings`,
		ValidArgsFunction: wasmFiles,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("run takes one file, got %d: %s", len(args), strings.Join(args, " "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.bounds.note(cmd)
			return runPlayground(cmd.Context(), args, flags, env)
		},
	}
	cmd.Flags().StringVar(&flags.addr, "addr", "",
		"listen on `ADDR`, given as HOST:PORT; port 0 takes a free one (default $WADDLE_ADDR, or "+defaultAddr+")")
	cmd.Flags().StringVar(&flags.probes, "probe-addr", "",
		"answer health, readiness and metrics on `ADDR`, given as HOST:PORT or unix:PATH; off for nowhere (default $WADDLE_PROBE_ADDR, or off)")
	cmd.Flags().StringSliceVar(&flags.hosts, "host", nil,
		"also answer for the host `NAME`, for instance behind a proxy; without it only for localhost and the address it listens on (default $WADDLE_HOSTS)")
	cmd.Flags().BoolVarP(&flags.verbose, "verbose", "v", false, "show the plugin's log, including debug level")
	addQuota(cmd, &flags.quota)
	addBounds(cmd, &flags.bounds, units(plugin.DefaultFuelRate))
	addTrusted(cmd, &flags.trusted)
	fixed(cmd, "addr", defaultAddr, "127.0.0.1:0")
	fixed(cmd, "probe-addr", "127.0.0.1:9090", "unix:", noProbes)
	return cmd
}

// settingsInHelp replaces OTHERS in a text by the variables that it does not
// explain, so that none is left out.
func settingsInHelp(text string) string {
	var others []string
	for _, s := range append(described(engines.Settings{}), session.Defaults().Describe()...) {
		if s.Variable != "" && !strings.Contains(text, s.Variable+" ") {
			others = append(others, s.Variable)
		}
	}
	return strings.Replace(text, "OTHERS", wrapped("The README explains the others: "+strings.Join(others, ", ")+".", 80, 0), 1)
}

type runFlags struct {
	addr, probes     string
	hosts            []string
	verbose, trusted bool
	quota            quota
	bounds           bounds
}

func runPlayground(ctx context.Context, files []string, flags runFlags, env *environment) error {
	addr := cmp.Or(flags.addr, lookup(env.variables, "WADDLE_ADDR"), defaultAddr)
	settings, err := session.FromEnv(env.variables)
	if err != nil {
		return &usageError{err}
	}
	kept, err := engines.FromEnv(env.variables)
	if err != nil {
		return &usageError{err}
	}
	if len(files) > 0 {
		kept.Storage = files[0]
	}
	kept.Config.Trusted = flags.trusted
	if len(flags.bounds.given) > 0 {
		flags.bounds.on(&kept.Config)
	}
	kept.MaxBytes, kept.MaxFiles = int64(flags.quota.bytes), flags.quota.files
	if err := cmp.Or(checkAddr(addr), flags.quota.check(), flags.bounds.check(flags.trusted)); err != nil {
		return err
	}
	hosts, err := hostsOf(addr, flags.hosts, env.variables)
	if err != nil {
		return err
	}
	probed := cmp.Or(flags.probes, lookup(env.variables, probeVariable), noProbes)
	if err := checkProbeAddr(probed); err != nil {
		return err
	}

	// Listen first: if the playground is already running, the user should hear so
	// before waiting for an engine to be compiled.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return cannotListen(addr, err)
	}
	probing, err := listenForProbes(ctx, probed)
	if err != nil {
		_ = listener.Close()
		return err
	}
	defer probing.Close()
	defer limitsFrom(plugin.DefaultHost(), env.stderr)()
	log := guestLogger(env, flags.verbose, slog.LevelInfo)
	slog.SetDefault(log)
	opened := afterAWhile(env.stderr, "waddle: starting "+engines.Redacted(kept.Storage)+"; the first start compiles it, later ones use a cache")
	kept.Config.Logger = log
	storage, engine, err := openStorage(ctx, kept)
	opened()
	if err != nil {
		_ = listener.Close()
		return err
	}
	watched := probing.watch(ctx, storage, &settings)
	handler, err := playground.New(playground.Config{Store: watched, Kept: described(kept), Settings: settings, Engine: engine, Hosts: hosts})
	if err != nil {
		_ = listener.Close()
		_ = store.Close(ctx, storage)
		if errors.Is(err, session.ErrSettings) {
			return &usageError{err}
		}
		return err
	}

	for _, warning := range warnings(listener.Addr(), &settings) {
		fmt.Fprintln(env.stderr, "waddle: warning:", warning)
	}
	fmt.Fprintf(env.stdout, "waddle: listening on http://%s (sessions kept by %s)\n", reachable(listener.Addr()), engine.Name)
	if at := probing.at(); at != "" {
		fmt.Fprintf(env.stdout, "waddle: listening on %s for probes\n", at)
	}
	server := playground.Server{Handler: probing.requests(handler), Store: storage, Now: settings.Now}
	if err := server.Serve(ctx, listener); err != nil {
		return err
	}
	fmt.Fprintln(env.stdout, "waddle: stopped,", farewell(kept))
	return nil
}

// farewell says what happened to the sessions after a clean end.
func farewell(kept engines.Settings) string {
	if engines.IsServer(kept.Storage) {
		return "and the sessions are on the server"
	}
	if kept.Dir == "" {
		return "and the sessions are lost: they were only in memory (SESSION_DIR names a directory to keep them in)"
	}
	return "sessions saved"
}

// noticeAfter is how long a user waits without wondering.
const noticeAfter = 500 * time.Millisecond

// afterAWhile writes a line if done is not called soon.
func afterAWhile(w io.Writer, line string) (done func()) {
	timer := time.AfterFunc(noticeAfter, func() { fmt.Fprintln(w, line) })
	return func() { timer.Stop() }
}

// lookup returns a variable of the environment. If it occurs more than once, the last counts.
func lookup(variables []string, name string) (value string) {
	for _, v := range variables {
		if n, rest, ok := strings.Cut(v, "="); ok && n == name {
			value = rest
		}
	}
	return value
}

func cannotListen(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "Only one usage of each socket address"):
		return fmt.Errorf("another program already listens on %s; end it, or choose another address: waddle run --addr 127.0.0.1:0 takes a free port", addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening on %s is not permitted; choose a port of at least 1024: %w", addr, err)
	}
	return fmt.Errorf("cannot listen on %s; choose another address with --addr or WADDLE_ADDR: %w", addr, err)
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/serving"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

const exampleSocket = "unix:/run/waddle/sessions.sock"

type serveFlags struct {
	addrs                 []string
	admin                 string
	socketMode            fileMode
	cert, key, ca         string
	clients, operators    []string
	connections, requests int
	rate                  int
	maxBody               bytesFlag
	drainDelay, grace     time.Duration
	verbose, trusted      bool
	quota                 quota
	bounds                bounds
}

func newServe(env *environment) *cobra.Command {
	flags := serveFlags{socketMode: 0o600}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "serve sessions to programs in other languages",
		Long: `
Programs in any language load sessions, commit changes of single values, renew,
destroy and list sessions by JSON over HTTP, on a unix socket or on an address
with mutual TLS. An address without mutual TLS is refused: anybody who reaches
it could use every session whose id they know, and list and end those of every
user. SERVE.md beside the source and GET /v1/openapi.json describe the requests.

Storage and settings come from the environment, as for waddle run: SESSION_STORAGE,
SESSION_DIR, SESSION_DURATION, WADDLE_SECRET_FILE and others. A plugin of your own
has the bounds that it has there. Values are kept as JSON: Go programs that share
the sessions have SESSION_CODEC=json, or session.Settings.Codec set to session.JSON.

A unix socket has the mode of --socket-mode, and each user of the system is a
client. On an address, each name in a certificate is a client. Certificates are
read again when their files change, and after SIGHUP. A client with too many
requests or connections is answered with status 429 and the time to wait.

The operator's address is off unless it is given. It has

  GET  /healthz /readyz /metrics   whether it runs and is ready; Prometheus text
  POST /v1/admin/count             how many sessions there are
  POST /v1/admin/list              lists them, by handles that open none
  POST /v1/admin/show              shows one with its values
  POST /v1/admin/end               ends one, or all of a user

After an interrupt (Ctrl-C) or SIGTERM the program is not ready, accepts no more
connections, finishes the requests in progress and saves the sessions. A second
one ends it at once.`,
		Example: `  waddle serve --addr ` + exampleSocket + `
  waddle serve --addr :7000 --tls-cert s.pem --tls-key s.key --client-ca ca.pem

Then, elsewhere:

  waddle=(curl -s --unix-socket /run/waddle/sessions.sock
    -H 'Content-Type: application/json')
  "${waddle[@]}" http://waddle/v1/commit -d '{"id": "", "set": {"cart": ["tea"]}}'
  "${waddle[@]}" http://waddle/v1/load -d '{"id": "THE_ID_FROM_THERE"}'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("serve takes no argument, got %d: %s", len(args), strings.Join(args, " "))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags.bounds.note(cmd)
			return runServe(cmd.Context(), flags, env)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&flags.addrs, "addr", nil, "listen on `ADDR`: unix:PATH, or HOST:PORT with mutual TLS; may be repeated")
	f.StringVar(&flags.admin, "admin-addr", "", "listen for the operator on `ADDR`, which is given in the same way")
	f.Var(&flags.socketMode, "socket-mode", "let those use the sockets to whom `MODE` gives write permission")
	f.StringVar(&flags.cert, "tls-cert", "", "show clients the certificate in `FILE`, as PEM")
	f.StringVar(&flags.key, "tls-key", "", "the certificate's private key is in `FILE`, as PEM")
	f.StringVar(&flags.ca, "client-ca", "", "accept clients whose certificates the authorities in `FILE` have signed, as PEM")
	f.StringArrayVar(&flags.clients, "client", nil, "accept only clients with the `NAME` in their certificates; may be repeated")
	f.StringArrayVar(&flags.operators, "admin-client", nil, "accept those with the `NAME` at the operator's address; may be repeated, and must be given for HOST:PORT")
	f.IntVar(&flags.connections, "max-connections", serving.DefaultConnections, "accept `N` connections at a time")
	f.IntVar(&flags.requests, "max-requests", serving.DefaultRequests, "answer `N` requests at a time")
	f.IntVar(&flags.rate, "rate", serving.DefaultRate, "answer `N` requests a second of each client; 0 for no bound")
	f.Var(&flags.maxBody, "max-body", "take bodies of up to `SIZE`, such as 64KiB; by default the largest session and 64KiB")
	f.DurationVar(&flags.drainDelay, "drain-delay", 0, "at the end, show at the operator's address for `TIME` that the program is not ready, before it accepts no more")
	f.DurationVar(&flags.grace, "grace", 10*time.Second, "at the end, wait for `TIME` until requests in progress are finished")
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "show the log, including debug level: each request, but no id and no value")
	addQuota(cmd, &flags.quota)
	addBounds(cmd, &flags.bounds, units(plugin.DefaultFuelRate))
	addTrusted(cmd, &flags.trusted)
	for _, name := range []string{"addr", "admin-addr"} {
		fixed(cmd, name, exampleSocket, "127.0.0.1:7000")
	}
	fixed(cmd, "socket-mode", "0600", "0660")
	fixed(cmd, "max-body", "64KiB", "1MiB")
	for _, name := range []string{"tls-cert", "tls-key", "client-ca"} {
		mustComplete(cmd, name, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"pem", "crt", "key"}, cobra.ShellCompDirectiveFilterFileExt
		})
	}
	return cmd
}

func runServe(ctx context.Context, flags serveFlags, env *environment) (err error) {
	certificates, err := flags.check()
	if err != nil {
		return err
	}
	settings, err := session.FromEnv(env.variables)
	if err != nil {
		return &usageError{err}
	}
	kept, err := engines.FromEnv(env.variables)
	if err != nil {
		return &usageError{err}
	}
	kept.Config.Trusted = flags.trusted
	if len(flags.bounds.given) > 0 {
		flags.bounds.on(&kept.Config)
	}
	kept.MaxBytes, kept.MaxFiles = int64(flags.quota.bytes), flags.quota.files
	if err := cmp.Or(flags.quota.check(), flags.bounds.check(flags.trusted)); err != nil {
		return err
	}
	log := guestLogger(env, flags.verbose, slog.LevelInfo)
	slog.SetDefault(log)
	if certificates != nil {
		certificates.Log = log
		if err := certificates.Reload(); err != nil {
			return &usageError{err}
		}
	}

	// Listen first: if it already runs, the user should hear so before waiting for an
	// engine to be compiled.
	var listeners []net.Listener
	var operator net.Listener
	defer func() {
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
		}
	}()
	for _, addr := range flags.addrs {
		l, err := flags.listen(ctx, addr, "--addr")
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	clients := listeners
	if flags.admin != "" {
		if operator, err = flags.listen(ctx, flags.admin, "--admin-addr"); err != nil {
			return err
		}
		listeners = append(clients[:len(clients):len(clients)], operator)
	}
	defer limitsFrom(plugin.DefaultHost(), env.stderr)()
	opened := afterAWhile(env.stderr, "waddle: starting "+engines.Redacted(kept.Storage)+"; the first start compiles it, later ones use a cache")
	kept.Config.Logger = log
	storage, engine, err := openStorage(ctx, kept)
	opened()
	if err != nil {
		return err
	}
	service, err := serving.New(serving.Config{
		Store: storage, Settings: settings, Version: version().Version, Log: log, Clients: flags.clients, Operators: flags.operators,
		Limits: flags.limits(),
	})
	if err != nil {
		_ = store.Close(ctx, storage)
		if errors.Is(err, session.ErrSettings) {
			return &usageError{err}
		}
		return err
	}
	if certificates != nil {
		defer reloadOnHangUp(certificates, log)()
	}
	for _, l := range clients {
		fmt.Fprintf(env.stdout, "waddle: listening on %s for programs (sessions kept by %s)\n", where(l), engine.Name)
	}
	if operator != nil {
		fmt.Fprintf(env.stdout, "waddle: listening on %s for the operator\n", where(operator))
	}
	server := serving.Server{Service: service, Store: storage, Certificates: certificates, DrainDelay: flags.drainDelay, Grace: flags.grace, Log: log}
	if err := server.Serve(ctx, clients, operator); err != nil {
		return err
	}
	fmt.Fprintln(env.stdout, "waddle: stopped,", farewell(kept))
	return nil
}

// check says what is wrong with the flags. certificates is nil if all addresses are
// sockets.
func (f *serveFlags) check() (certificates *serving.Certificates, err error) {
	if len(f.addrs) == 0 {
		return nil, usagef("--addr is missing: must be a unix socket, such as --addr %s, or HOST:PORT with --tls-cert, --tls-key and --client-ca", exampleSocket)
	}
	open := false
	for i, addr := range append(f.addrs[:len(f.addrs):len(f.addrs)], f.admin) {
		if _, socket := strings.CutPrefix(addr, "unix:"); socket || addr == "" && i == len(f.addrs) {
			continue
		}
		if err := checkAddr(addr); err != nil {
			return nil, usagef("%w; or unix:PATH", err)
		}
		open = true
		if f.cert == "" || f.key == "" || f.ca == "" {
			return nil, usagef("%s would be open to whoever reaches it: must have mutual TLS; give --tls-cert, --tls-key and --client-ca, or listen on a unix socket: --addr %s", addr, exampleSocket)
		}
		if i == len(f.addrs) && len(f.operators) == 0 {
			return nil, usagef("the operator's address %s would be open to every client: must have --admin-client NAME, the name in the operator's certificate, or be unix:PATH", addr)
		}
	}
	switch {
	case !open && (f.cert != "" || f.key != "" || f.ca != "" || len(f.clients) > 0 || len(f.operators) > 0):
		return nil, usagef("--tls-cert, --tls-key, --client-ca, --client and --admin-client have no effect on a unix socket: leave them out, or let --addr be HOST:PORT")
	case f.connections < 1 || f.requests < 1 || f.rate < 0:
		return nil, usagef("--max-connections is %d, --max-requests %d and --rate %d: must be at least 1, 1 and 0", f.connections, f.requests, f.rate)
	case f.drainDelay < 0 || f.grace <= 0:
		return nil, usagef("--drain-delay is %v and --grace is %v: must be at least 0s, and above 0s", f.drainDelay, f.grace)
	case f.drainDelay > 0 && f.admin == "":
		return nil, usagef("--drain-delay has no effect without --admin-addr: leave it out, or give both")
	case !open:
		return nil, nil
	}
	return &serving.Certificates{Certificate: f.cert, Key: f.key, ClientCA: f.ca}, nil
}

func (f *serveFlags) limits() serving.Limits {
	rate := f.rate
	if rate == 0 {
		rate = -1
	}
	return serving.Limits{Connections: f.connections, Requests: f.requests, Rate: rate, MaxBody: int64(f.maxBody)}
}

func (f *serveFlags) listen(ctx context.Context, addr, flag string) (net.Listener, error) {
	path, socket := strings.CutPrefix(addr, "unix:")
	if !socket {
		return listen(ctx, addr, flag)
	}
	l, err := serving.ListenUnix(ctx, path, fs.FileMode(f.socketMode))
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return l, nil
}

// where returns an address as clients give it.
func where(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + serving.PathOf(l)
	}
	return "https://" + reachable(l.Addr())
}

// reloadOnHangUp reads certificates again after SIGHUP.
func reloadOnHangUp(c *serving.Certificates, log *slog.Logger) (stop func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	go func() {
		for range asked {
			if err := c.Reload(); err != nil {
				log.Error("certificates cannot be read again; the earlier ones stay in use", "error", err)
				continue
			}
			log.Info("certificates were read again")
		}
	}()
	return func() {
		signal.Stop(asked)
		close(asked)
	}
}

// fileMode is a flag for the mode of a file.
type fileMode fs.FileMode

func (m *fileMode) String() string { return fmt.Sprintf("%#o", uint32(*m)) }

func (m *fileMode) Set(text string) error {
	n, err := strconv.ParseUint(text, 8, 9)
	if err != nil || n&0o200 == 0 {
		return errors.New("a mode in octal that lets the owner write, such as 0600 or 0660")
	}
	*m = fileMode(n)
	return nil
}

func (m *fileMode) Type() string { return "MODE" }

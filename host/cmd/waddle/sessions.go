package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/hosting"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/keepers"
	"github.com/waddle-sessions/waddle/host/engines"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/session"
	"golang.org/x/term"
)

// sessionActions are the actions of the verb sessions.
var sessionActions = []cobra.Completion{
	cobra.CompletionWithDesc("count", "count the sessions"),
	cobra.CompletionWithDesc("list", "list sessions, of all or of one user"),
	cobra.CompletionWithDesc("show", "show all that is stored of a session, with its values"),
	cobra.CompletionWithDesc("end", "end a session, or all of a user"),
}

const sessionActionNames = "count, list, show or end"

type sessionsFlags struct {
	dir, storage       string
	server, tenant     string
	tokenFile          string
	tls                keepers.TLS
	user, sort         string
	limit              int
	yes, json, verbose bool
	limitGiven         bool
}

func newSessions(env *environment) *cobra.Command {
	var flags sessionsFlags
	cmd := &cobra.Command{
		Use:   "sessions ACTION [HANDLE]",
		Short: "count, list, show and end what is stored",
		Long: `
ACTION is one of these:

  count         counts the sessions that are alive; with --user, those of the user
  list          lists them: handle, user and times
  show HANDLE   shows one with its values
  end HANDLE    ends one; end --user NAME ends all of a user. It asks for confirmation,
                unless --yes is given

A handle names a session to those who run the application. Nobody can act as the
session with it, and no action shows an id. Only show shows values, which may be
personal.

The sessions are those of

  --dir DIR        a directory, whose files tell the engine
  --storage URL    a server: redis://…, postgres://…
  --server ADDR    a running program, which locks the directory that it uses:
                   'waddle serve' at its --admin-addr, as unix:PATH, or https://HOST:PORT
                   with a certificate; or, with --tenant NAME, 'waddle host' at its
                   admin interface, as http://HOST:PORT, with its token

Without them, SESSION_STORAGE and SESSION_DIR say where the sessions are.
WADDLE_SECRET or WADDLE_SECRET_FILE opens sealed ones, and SESSION_COOKIE_NAME
or SESSION_NAMESPACE names their namespace, as for every program that shares the
sessions. The token is in --token-file, WADDLE_ADMIN_TOKEN or
WADDLE_ADMIN_TOKEN_FILE.`,
		Example: `  waddle sessions count --dir /var/lib/sessions
  waddle sessions list --dir /var/lib/sessions --sort last-seen --limit 20
  waddle sessions list --storage redis://sessions@10.1.0.7/0 --user ada --json
  waddle sessions show HANDLE --server unix:/run/waddle/admin.sock
  waddle sessions end --user ada --yes --server http://127.0.0.1:8081 \
    --tenant alice --token-file tenants/.admin-token`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return beginning(sessionActions, start), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		},
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usagef("sessions needs an action: %s", sessionActionNames)
			case !slices.ContainsFunc(sessionActions, func(c cobra.Completion) bool { return strings.HasPrefix(c, args[0]+"\t") }):
				return usagef("the action is %q: must be %s", args[0], sessionActionNames)
			case len(args) > 2 || len(args) == 2 && (args[0] == "count" || args[0] == "list"):
				return usagef("%s takes no more arguments, got %s", args[0], strings.Join(args[1:], " "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.limitGiven = cmd.Flags().Changed("limit")
			handle := ""
			if len(args) > 1 {
				handle = args[1]
			}
			if err := flags.check(args[0], handle); err != nil {
				return err
			}
			return runSessions(cmd.Context(), args[0], handle, flags, env)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.dir, "dir", "", "look at the sessions in `DIR` (default $SESSION_DIR)")
	f.StringVar(&flags.storage, "storage", "", "look at those of `STORAGE`, the URL of a server; with --dir the name of an engine, or a .wasm file (default $SESSION_STORAGE)")
	f.StringVar(&flags.server, "server", "", "ask the running program at `ADDR`, given as unix:PATH, https://HOST:PORT or, for waddle host, http://HOST:PORT")
	f.StringVar(&flags.tenant, "tenant", "", "look at the sessions of the tenant `NAME` of waddle host")
	f.StringVar(&flags.tokenFile, "token-file", "", "the token of waddle host's admin interface is in `FILE`")
	f.StringVar(&flags.tls.Cert, "tls-cert", "", "show the server the certificate in `FILE`, as PEM")
	f.StringVar(&flags.tls.Key, "tls-key", "", "the certificate's private key is in `FILE`, as PEM")
	f.StringVar(&flags.tls.CA, "server-ca", "", "accept a server whose certificate the authorities in `FILE` have signed, as PEM")
	f.StringVar(&flags.user, "user", "", "count, list, end: only the sessions of the user `NAME`")
	f.IntVar(&flags.limit, "limit", 100, "list: at most `N` sessions; 0 for all")
	f.StringVar(&flags.sort, "sort", "", "list: newest or largest first, by `FIELD`: created, last-seen, expires or size; or by user")
	f.BoolVarP(&flags.yes, "yes", "y", false, "end: do not ask")
	f.BoolVar(&flags.json, "json", false, "write JSON to standard output; a list has one object on each line")
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "show the engine's log, including debug level")
	directories(cmd, "dir")
	mustComplete(cmd, "storage", completePlace)
	fixed(cmd, "server", "unix:/run/waddle/admin.sock", "https://", "http://"+defaultAdminAddr)
	fixed(cmd, "sort", sortFields...)
	for _, name := range []string{"token-file", "tls-cert", "tls-key", "server-ca"} {
		mustComplete(cmd, name, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		})
	}
	return cmd
}

// check refuses arguments and flags that have no effect or do not go together.
func (f *sessionsFlags) check(action, handle string) error {
	switch {
	case action == "show" && handle == "":
		return usagef("show needs the handle of a session: waddle sessions show HANDLE; 'waddle sessions list' has them")
	case action == "end" && (handle == "") == (f.user == ""):
		return usagef("end needs the handle of a session or --user, and not both: waddle sessions end HANDLE")
	case action == "show" && f.user != "":
		return usagef("--user has no effect for show: leave it out")
	case action != "list" && (f.limitGiven || f.sort != ""):
		return usagef("--limit and --sort are for list: leave them out for %s", action)
	case action != "end" && f.yes:
		return usagef("--yes is for end: leave it out for %s", action)
	case f.limit < 0:
		return usagef("--limit is %d: must be at least 0", f.limit)
	case f.sort != "" && !slices.Contains(sortFields, f.sort):
		return usagef("--sort is %q: must be %s", f.sort, strings.Join(sortFields, ", "))
	case f.server != "" && (f.dir != "" || f.storage != ""):
		return usagef("--server asks a running program, so --dir and --storage have no effect: leave one of them out")
	case f.server == "" && (f.tenant != "" || f.tls != keepers.TLS{}):
		return usagef("--tenant, --tls-cert, --tls-key and --server-ca are for --server: must be given with it")
	case f.tenant == "" && f.tokenFile != "":
		return usagef("--token-file is for --tenant: must be given with it")
	}
	return nil
}

func runSessions(ctx context.Context, action, handle string, flags sessionsFlags, env *environment) (err error) {
	k, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, k.Close()) }() // only then is it certain that what was ended is
	bar := newProgress(env, "reading", 0)
	if kept, ok := k.(*keepers.Storage); ok {
		kept.Read = bar.Add
	}
	s := sessionsRun{flags, k, env, bar}
	switch action {
	case "count":
		return s.count(ctx)
	case "list":
		return s.list(ctx)
	case "show":
		return s.show(ctx, handle)
	}
	if handle != "" {
		return s.end(ctx, handle)
	}
	return s.endUser(ctx)
}

// open returns the keeper of the sessions.
func (f *sessionsFlags) open(ctx context.Context, env *environment) (keepers.Keeper, error) {
	if f.server != "" {
		return f.ask(env)
	}
	settings, err := session.FromEnv(env.variables)
	if err != nil {
		return nil, &usageError{err}
	}
	at, err := f.place(env)
	if err != nil {
		return nil, err
	}
	p, err := openPlace(ctx, at, f.verbose, env)
	if err != nil {
		return nil, err
	}
	k, err := keepers.NewStorage(p, settings)
	if err != nil {
		return nil, errors.Join(&usageError{err}, p.Close(ctx))
	}
	return k, nil
}

// place returns where the sessions are kept.
func (f *sessionsFlags) place(env *environment) (at engines.Settings, err error) {
	if at, err = engines.FromEnv(env.variables); err != nil {
		return at, &usageError{err}
	}
	if f.storage != "" {
		at.Storage = f.storage
		if engines.IsServer(f.storage) && f.dir == "" {
			at.Dir = ""
		}
	}
	if f.dir != "" {
		at.Dir = f.dir
		if f.storage == "" && (engines.IsServer(at.Storage) || !strings.HasSuffix(at.Storage, ".wasm")) {
			at.Storage = ""
		}
	}
	if engines.IsServer(at.Storage) {
		return at, nil
	}
	switch {
	case at.Dir == "" && (at.Storage == "" || at.Storage == memory.Name):
		return at, usagef("nothing says where the sessions are: must be --dir DIR, --storage URL, --server ADDR, or SESSION_STORAGE and SESSION_DIR")
	case at.Dir == "":
		return at, usagef("--dir and SESSION_DIR are not set: must be the directory in which %s keeps the sessions", at.Storage)
	}
	if err := checkDir(at.Dir); err != nil {
		return at, err
	}
	if at.Storage == "" || at.Storage == memory.Name && f.storage == "" {
		at.Storage, err = engineOf(at.Dir)
	}
	return at, err
}

// ask returns the running program as a keeper.
func (f *sessionsFlags) ask(env *environment) (keepers.Keeper, error) {
	var k keepers.Keeper
	var err error
	switch {
	case f.tenant == "" && strings.HasPrefix(f.server, "http://"):
		return nil, usagef("--server is %q: must be unix:PATH or https://HOST:PORT for waddle serve; for waddle host, give --tenant as well", f.server)
	case f.tenant == "":
		k, err = keepers.NewServed(f.server, f.tls)
	default:
		var token string
		if token, err = f.token(env); err != nil {
			return nil, &usageError{err}
		}
		k, err = keepers.NewHosted(f.server, f.tls, f.tenant, token)
	}
	if errors.Is(err, keepers.ErrAddress) {
		return nil, &usageError{err}
	}
	return k, err
}

// token returns the token of the admin interface.
func (f *sessionsFlags) token(env *environment) (string, error) {
	if file := cmp.Or(f.tokenFile, lookup(env.variables, adminTokenFileVariable)); file != "" {
		if _, err := hosting.ReadToken(file); err != nil {
			return "", err
		}
		text, err := os.ReadFile(file)
		return strings.TrimSpace(string(text)), err
	}
	if text := lookup(env.variables, adminTokenVariable); text != "" {
		return text, nil
	}
	return "", fmt.Errorf("the token of the admin interface is missing: must be in --token-file, %s or %s; waddle host says where it is", adminTokenVariable, adminTokenFileVariable)
}

// confirm asks the person at the terminal. Without a terminal, --yes must be given.
func (s *sessionsRun) confirm(question string) error {
	if s.flags.yes {
		return nil
	}
	in, ok := s.env.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return usagef("%s There is no terminal to ask at: give --yes", question)
	}
	fmt.Fprintf(s.env.stderr, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was ended")
	}
	return nil
}

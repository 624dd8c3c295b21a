package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/hosting"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/tenant"
)

const (
	defaultAdminAddr = "127.0.0.1:8081"
	noAdmin          = "off"
)

// The variables of the admin interface.
const (
	adminAddrVariable      = "WADDLE_ADMIN_ADDR"
	adminTokenVariable     = "WADDLE_ADMIN_TOKEN"
	adminTokenFileVariable = "WADDLE_ADMIN_TOKEN_FILE"
	adminHostsVariable     = "WADDLE_ADMIN_HOSTS"
)

type hostFlags struct {
	addr, admin string
	keys        string
	memory      bytesFlag
	network     networkFlags
	verbose     bool
}

func newHost(env *environment) *cobra.Command {
	var flags hostFlags
	cmd := &cobra.Command{
		Use:   "host DIR",
		Short: "serve the tenants whose manifests lie in a directory",
		Long: `
Each file DIR/*.json is the manifest of a tenant: whose requests it gets, by host
name, and which plugin keeps its sessions. The least one is

  {"name": "alice", "hosts": ["alice.localhost"], "plugin": {"bundled": "memory"}}

A changed file is a deploy, while everything is served, and a removed file is a
removal. A file that cannot be read or deployed changes nothing: its tenant goes on
as before, and the admin interface and the log say what is wrong. DIR is looked at
every second, and at once after SIGHUP. Paths in manifests start at DIR, and tenants
that keep state do so in DIR/state.

Each tenant has the playground's page and JSON interface under its host names.

The admin interface has an address of its own. It shows the tenants as a page, which
asks for a token once, and to programs that send the token in a header:

  GET    /metrics                                 in the text format of Prometheus
  GET    /api/tenants                             all tenants, and what is wrong
  GET    /api/tenants/NAME                        one of them
  PUT    /api/tenants/NAME                        deploys the body, a manifest
  DELETE /api/tenants/NAME                        removes it
  POST   /api/tenants/NAME/sleep                  puts its plugin to sleep
  GET    /api/tenants/NAME/sessions?limit=100     counts its sessions, and lists some;
                                                  with user=USER those of one user
  DELETE /api/tenants/NAME/sessions?user=USER     ends all sessions of a user
  GET    /api/tenants/NAME/sessions/HANDLE        shows one with its values
  DELETE /api/tenants/NAME/sessions/HANDLE        ends one

What is deployed and removed there is written to DIR. Settings from the environment:

  WADDLE_ADDR                where to listen for tenants, unless --addr is given
  WADDLE_ADMIN_ADDR          where to listen for the operator, unless --admin-addr is
                             given; off for nowhere
  WADDLE_ADMIN_TOKEN         the token: at least 32 bytes that nobody can guess
  WADDLE_ADMIN_TOKEN_FILE    a file with it, that only its owner may read; without
                             both, DIR/` + hosting.TokenFile + ` has it, and is made
  WADDLE_ADMIN_HOSTS         names under which the admin interface is reached,
                             separated by commas, besides localhost and addresses

After an interrupt (Ctrl-C) or SIGTERM the program finishes the requests in
progress and saves what tenants keep. A second one ends it at once.`,
		Example: `  mkdir tenants
  echo '{"name": "alice", "hosts": ["alice.localhost"],
    "plugin": {"bundled": "memory"}}' > tenants/alice.json
  waddle host tenants

Then, elsewhere:

  curl -X POST http://alice.localhost:8080/api/session/visits/increment
  curl -H "Authorization: Bearer $(cat tenants/` + hosting.TokenFile + `)" \
       http://` + defaultAdminAddr + `/api/tenants`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("host takes one directory, got %d: %s", len(args), strings.Join(args, " "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runHost(cmd.Context(), args[0], flags, env) },
	}
	f := cmd.Flags()
	f.StringVar(&flags.addr, "addr", "", "listen for the tenants' requests on `ADDR`, given as HOST:PORT; port 0 takes a free one (default $WADDLE_ADDR, or "+defaultAddr+")")
	f.StringVar(&flags.admin, "admin-addr", "", "listen for the operator's on `ADDR`; off for nowhere (default $WADDLE_ADMIN_ADDR, or "+defaultAdminAddr+")")
	f.StringVar(&flags.keys, "trusted-keys", "", "run only plugins that are bundled, or signed by one of the Ed25519 public keys in `FILE`, as PEM")
	f.Var(&flags.memory, "memory", "let all plugins together have `SIZE` of memory, such as 4GiB; by default three quarters of what the process may have")
	flags.network.add(cmd, "")
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "show the log with debug level")
	fixed(cmd, "addr", defaultAddr, "127.0.0.1:0")
	fixed(cmd, "admin-addr", defaultAdminAddr, "127.0.0.1:0", noAdmin)
	fixed(cmd, "memory", "1GiB", "4GiB", "16GiB")
	mustComplete(cmd, "trusted-keys", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return []cobra.Completion{"pem"}, cobra.ShellCompDirectiveFilterFileExt
	})
	return cmd
}

func runHost(ctx context.Context, dir string, flags hostFlags, env *environment) (err error) {
	addr := cmp.Or(flags.addr, lookup(env.variables, "WADDLE_ADDR"), defaultAddr)
	admin := cmp.Or(flags.admin, lookup(env.variables, adminAddrVariable), defaultAdminAddr)
	if err := checkAddr(addr); err != nil {
		return err
	}
	if admin != noAdmin {
		if err := checkAddr(admin); err != nil {
			return usagef("for the admin interface: %w", err)
		}
	}
	var keys []ed25519.PublicKey
	if flags.keys != "" {
		if keys, err = tenant.ReadTrustedKeys(flags.keys); err != nil {
			return &usageError{err}
		}
	}
	network, err := flags.network.tenants()
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usagef("%s is not a directory: must be one with manifests, or an empty one; mkdir makes it", dir)
	}
	unlock, err := hosting.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()

	listener, err := listen(ctx, addr, "--addr or WADDLE_ADDR")
	if err != nil {
		return err
	}
	defer listener.Close()
	var adminListener net.Listener
	var token hosting.Token
	tokenIn := ""
	if admin != noAdmin {
		if token, tokenIn, err = adminToken(dir, env.variables); err != nil {
			return &usageError{err}
		}
		if adminListener, err = listen(ctx, admin, "--admin-addr or "+adminAddrVariable); err != nil {
			return err
		}
		defer adminListener.Close()
	}

	log := guestLogger(env, flags.verbose, slog.LevelInfo)
	slog.SetDefault(log)
	plugins := plugin.NewHost(plugin.HostConfig{Memory: int64(flags.memory)})
	var site hosting.Site
	var directory *hosting.Directory
	host, err := tenant.NewHost(tenant.HostConfig{
		Plugins: plugins, Dir: dir, TrustedKeys: keys, Network: network, Manager: site.Manager, Logger: log,
		Unknown: hosting.NotReady(func() *hosting.Directory { return directory }),
	})
	if err != nil {
		return errors.Join(err, plugins.Close(ctx))
	}
	closeAll := func(ctx context.Context) error { return errors.Join(host.Close(ctx), plugins.Close(ctx)) }
	directory = hosting.NewDirectory(dir, host, log)
	look := make(chan os.Signal, 1)
	signal.Notify(look, syscall.SIGHUP)
	defer signal.Stop(look)
	s := hosting.Server{Directory: directory, Site: site.Handler(host), Close: closeAll, Look: look}
	if adminListener != nil {
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		a, err := hosting.NewAdmin(hosting.AdminConfig{
			Host: host, Directory: directory, Token: token, Log: log, Hosts: adminHosts(admin, env.variables),
			Reach: func(host string) string { return "http://" + net.JoinHostPort(host, port) + "/" },
		})
		if err != nil {
			return errors.Join(err, closeAll(ctx))
		}
		s.Admin = a
	}
	for _, warning := range hostWarnings(listener, adminListener) {
		fmt.Fprintln(env.stderr, "waddle: warning:", warning)
	}
	fmt.Fprintf(env.stdout, "waddle: listening on http://%s for the tenants in %s\n", reachable(listener.Addr()), dir)
	if adminListener != nil {
		fmt.Fprintf(env.stdout, "waddle: listening on http://%s for the operator (the token is in %s)\n", reachable(adminListener.Addr()), tokenIn)
	}
	if err := s.Serve(ctx, listener, adminListener); err != nil {
		return err
	}
	fmt.Fprintln(env.stdout, "waddle: stopped, what tenants keep is saved")
	return nil
}

// adminToken returns the token of the admin interface, and where it was found. It is
// never shown: what a program writes ends up in logs.
func adminToken(dir string, variables []string) (t hosting.Token, in string, err error) {
	text, file := lookup(variables, adminTokenVariable), lookup(variables, adminTokenFileVariable)
	switch {
	case text != "" && file != "":
		return t, "", fmt.Errorf("%s and %s are both set: must be one of them", adminTokenVariable, adminTokenFileVariable)
	case text != "":
		t, err = hosting.ParseToken(text)
		return t, adminTokenVariable, err
	case file != "":
		t, err = hosting.ReadToken(file)
		return t, file, err
	}
	t, in, err = hosting.KeptToken(dir)
	if err != nil {
		err = fmt.Errorf("%w; set %s or %s, or %s=%s", err, adminTokenVariable, adminTokenFileVariable, adminAddrVariable, noAdmin)
	}
	return t, in, err
}

// adminHosts returns the names under which the admin interface is reached.
func adminHosts(addr string, variables []string) (hosts []string) {
	for name := range strings.SplitSeq(lookup(variables, adminHostsVariable), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			hosts = append(hosts, name)
		}
	}
	if host, _, _ := net.SplitHostPort(addr); host != "" && net.ParseIP(host) == nil {
		hosts = append(hosts, strings.ToLower(host))
	}
	return hosts
}

func listen(ctx context.Context, addr, setting string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another program already listens on %s; end it, or choose another address with %s", addr, setting)
	}
	return nil, fmt.Errorf("cannot listen on %s; choose another address with %s: %w", addr, setting, err)
}

// hostWarnings reports addresses that work, but perhaps not as intended.
func hostWarnings(site, admin net.Listener) (list []string) {
	open := func(l net.Listener) bool {
		tcp, ok := l.Addr().(*net.TCPAddr)
		return ok && !tcp.IP.IsLoopback()
	}
	if open(site) {
		list = append(list, "listening on "+site.Addr().String()+", where others can connect, without TLS: session cookies can be read in transit; put TLS in front, "+
			"and set SESSION_COOKIE_SECURE and SESSION_TRUSTED_PROXIES in the manifests")
	}
	if admin != nil && open(admin) {
		list = append(list, "the admin interface listens on "+admin.Addr().String()+", where others can connect, without TLS: its token can be read in transit; put TLS in front, or listen on "+defaultAdminAddr)
	}
	return list
}

package backend

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// PgBouncerOptions says what a pooler is like. The zero value gives each transaction a
// connection, and lets everybody in.
type PgBouncerOptions struct {
	Mode string // session, transaction or statement; "": transaction
	Pool int    // connections to the server; 0: 4

	Auth string        // trust, scram-sha-256, md5; "": trust. Others than trust need [PostgresPassword].
	TLS  *Certificates // clients need TLS, with this certificate

	// Settings are lines of the configuration, such as "server_idle_timeout = 1".
	Settings []string
}

// PgBouncerServer is a pooler in front of a PostgreSQL server.
type PgBouncerServer struct {
	*Process
	dir  string
	port int
}

// PgBouncer starts a pooler, which ends with the test.
func PgBouncer(t testing.TB, server *PostgresServer, o PgBouncerOptions) *PgBouncerServer {
	t.Helper()
	p, err := startPgBouncer(server, o, t.Errorf)
	require(t, err)
	atEnd(t, p.Process, p.remove)
	return p
}

// Addr returns the address as host:port.
func (p *PgBouncerServer) Addr() string { return loopback(p.port) }

func (p *PgBouncerServer) remove() { _ = os.RemoveAll(p.dir) }

func startPgBouncer(server *PostgresServer, o PgBouncerOptions, fail func(string, ...any)) (*PgBouncerServer, error) {
	path, err := installed("pgbouncer", "/usr/sbin/pgbouncer")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "waddle-pgbouncer")
	if err != nil {
		return nil, err
	}
	if as != 0 {
		if err := os.Chown(dir, int(as), int(as)); err != nil {
			return nil, err
		}
	}
	for range 5 {
		p := &PgBouncerServer{dir: dir}
		if p.port, err = freePort(); err != nil {
			break
		}
		p.Process = &Process{title: "pgbouncer at " + p.Addr(), log: new(tail), fail: fail}
		p.spec = command{path: path, args: []string{filepath.Join(dir, "pgbouncer.ini")}, dir: dir, user: as, ready: p.ready}
		if err = p.configure(server, o, as); err != nil {
			break
		}
		if err = p.start(); err == nil {
			return p, nil
		}
		err = fmt.Errorf("%s: %w\n%s", p.title, err, p.log)
		if !strings.Contains(p.log.String(), "bind") {
			break
		}
	}
	_ = os.RemoveAll(dir)
	return nil, err
}

func (p *PgBouncerServer) configure(server *PostgresServer, o PgBouncerOptions, as uint32) error {
	mode, auth, pool := o.Mode, o.Auth, o.Pool
	if mode == "" {
		mode = "transaction"
	}
	if auth == "" {
		auth = "trust"
	}
	if pool == 0 {
		pool = 4
	}
	lines := []string{
		"[databases]",
		// Over the unix socket nobody needs a password.
		fmt.Sprintf("* = host=%s port=%d", filepath.Dir(server.Socket()), server.port),
		"[pgbouncer]",
		"listen_addr = 127.0.0.1",
		"listen_port = " + strconv.Itoa(p.port),
		"unix_socket_dir =",
		"pool_mode = " + mode,
		"auth_type = " + auth,
		"auth_file = " + filepath.Join(p.dir, "users.txt"),
		"default_pool_size = " + strconv.Itoa(pool),
		"max_client_conn = 500",
		"server_login_retry = 1",
		"server_lifetime = 600",
	}
	files := map[string]string{"users.txt": fmt.Sprintf("%q %q\n", PostgresUser, PostgresPassword)}
	if o.TLS != nil {
		for name, from := range map[string]string{"server.pem": o.TLS.ServerFile, "server.key": o.TLS.ServerKeyFile, "root.pem": o.TLS.RootFile} {
			text, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			files[name] = string(text)
		}
		lines = append(lines, "client_tls_sslmode = require", "client_tls_cert_file = "+filepath.Join(p.dir, "server.pem"),
			"client_tls_key_file = "+filepath.Join(p.dir, "server.key"), "client_tls_ca_file = "+filepath.Join(p.dir, "root.pem"))
	}
	files["pgbouncer.ini"] = strings.Join(append(lines, o.Settings...), "\n") + "\n"
	return writeOwned(p.dir, files, as)
}

// ready fails until somebody listens.
func (p *PgBouncerServer) ready() error {
	conn, err := net.DialTimeout("tcp", p.Addr(), time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

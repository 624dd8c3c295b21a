package backend

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// PostgresOptions says what a server is like. The zero value lets everybody in.
type PostgresOptions struct {
	// Auth is how users prove who they are over TCP, as pg_hba.conf names it: trust,
	// scram-sha-256, md5, password. "": trust.
	Auth string

	TLS        *Certificates // TLS only over TCP, with this certificate; nil: no TLS
	ClientCert bool          // clients must have a certificate of the same root

	// ReplicaOf is the server that this one follows and copies. Nil: it follows none.
	ReplicaOf *PostgresServer

	// Settings are lines of postgresql.conf, such as "max_connections = 20". They come last.
	Settings []string
}

// What every server has: a role that owns a database, and may do nothing else.
const (
	PostgresUser     = "waddle"
	PostgresPassword = "not a secret"
	PostgresDatabase = "waddle"
)

// PostgresServer is a PostgreSQL server. It does not wait for the disk: what it has given to
// the system outlives it, as all is that it says it has committed. Methods of [Process]
// concern its main process alone, except for those that are given here.
type PostgresServer struct {
	*Process
	options  PostgresOptions
	programs string // their directory
	dir      string
	data     string
	port     int
}

// Postgres starts a server, which ends with the test.
func Postgres(t testing.TB, o PostgresOptions) *PostgresServer {
	t.Helper()
	s, err := startPostgres(o, t.Errorf)
	require(t, err)
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("%s has logged:\n%s", s.title, s.log)
		}
		s.remove()
	})
	return s
}

// Addr returns the address as host:port.
func (s *PostgresServer) Addr() string { return loopback(s.port) }

// Port returns the port.
func (s *PostgresServer) Port() int { return s.port }

// Socket returns the path of the unix socket, over which anybody may log in as anybody.
func (s *PostgresServer) Socket() string {
	return filepath.Join(s.dir, ".s.PGSQL."+strconv.Itoa(s.port))
}

// Query runs SQL as the superuser postgres and returns what it has printed: a line for each
// row, with | between columns. An error fails the test.
func (s *PostgresServer) Query(sql string) string {
	out, err := s.TryQuery(sql)
	if err != nil {
		s.fail("%s: %.200s: %v", s.title, sql, err)
	}
	return out
}

// TryQuery is [PostgresServer.Query] for SQL that may fail.
func (s *PostgresServer) TryQuery(sql string) (string, error) {
	return s.psql(s.dir, s.port, PostgresDatabase, "postgres", sql)
}

// QueryAt is [PostgresServer.Query] through a pooler at an address, as [PostgresUser].
func (s *PostgresServer) QueryAt(address, sql string) string {
	host, port, err := net.SplitHostPort(address)
	out := ""
	if err == nil {
		n, _ := strconv.Atoi(port)
		out, err = s.psql(host, n, PostgresDatabase, PostgresUser, sql)
	}
	if err != nil {
		s.fail("%s: %.200s at %s: %v", s.title, sql, address, err)
	}
	return out
}

func (s *PostgresServer) psql(host string, port int, database, user, sql string) (string, error) {
	cmd := exec.Command(filepath.Join(s.programs, "psql"), "-XAtqw", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", strconv.Itoa(port),
		"-U", user, "-d", database, "-f", "-")
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return text, fmt.Errorf("%w: %s", err, text)
	}
	return text, nil
}

// CutClients ends the connections of all clients, as an operator does.
func (s *PostgresServer) CutClients() {
	s.Query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
}

// Promote makes a server that follows another one take writes.
func (s *PostgresServer) Promote() { s.Query("SELECT pg_promote()") }

// Stop asks the server to end, as a service manager does that does not wait for clients.
func (s *PostgresServer) Stop() { s.end(interrupt) }

// Kill ends all processes of the server at once. What they have not given to the system is
// lost.
func (s *PostgresServer) Kill() {
	all := s.processes()
	s.Process.Kill()
	for _, pid := range all {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
}

// Pause stops all processes of the server. Connections stay open and answer nothing.
func (s *PostgresServer) Pause() {
	s.Process.Pause()
	s.each(pause)
}

// Resume lets a paused server go on.
func (s *PostgresServer) Resume() {
	s.each(resume)
	s.Process.Resume()
}

// Restart ends the server, if it still runs, and starts it again with the same address and
// data. It returns when the server answers.
func (s *PostgresServer) Restart() {
	s.Stop()
	if err := s.startSoon(); err != nil {
		s.fail("%s does not start again: %v\n%s", s.title, err, s.log)
	}
}

// startSoon starts the server. Processes of the one before may be about to end.
func (s *PostgresServer) startSoon() (err error) {
	for deadline := time.Now().Add(startWithin); ; time.Sleep(20 * time.Millisecond) {
		from := s.log.position()
		if err = s.start(); err == nil || time.Now().After(deadline) || !strings.Contains(s.log.since(from), "still in use") {
			return err
		}
	}
}

func interrupt(p *os.Process) error { return p.Signal(os.Interrupt) }

func (s *PostgresServer) each(send func(*os.Process) error) {
	for _, pid := range s.processes() {
		if p, err := os.FindProcess(pid); err == nil {
			_ = send(p)
		}
	}
}

// processes returns the processes that the main one has started: one for each client, and
// some that work in the background.
func (s *PostgresServer) processes() (pids []int) {
	main := strconv.Itoa(s.PID())
	out, _ := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 2 && f[1] == main {
			if pid, err := strconv.Atoi(f[0]); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func (s *PostgresServer) remove() { _ = os.RemoveAll(s.dir) }

// postgresPrograms returns the directory of the programs. Systems with several versions have
// them outside of the path.
func postgresPrograms() (string, error) {
	path, err := installed("postgres")
	if err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
		return "", err
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// unprivileged returns the number of a user that is not root, for programs that refuse to
// run as root, or 0 if this process does not.
func unprivileged() (uint32, error) {
	if os.Getuid() != 0 {
		return 0, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			id, err := strconv.ParseUint(u.Uid, 10, 32)
			return uint32(id), err
		}
	}
	return 0, errors.New("there is no user postgres or nobody, and the program refuses to run as root")
}

func startPostgres(o PostgresOptions, fail func(string, ...any)) (*PostgresServer, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	// The name of a unix socket must be short, which that of a test's directory is not.
	dir, err := os.MkdirTemp("", "waddle-postgres")
	if err != nil {
		return nil, err
	}
	s := &PostgresServer{options: o, programs: programs, dir: dir, data: filepath.Join(dir, "data")}
	for range 5 {
		if err = s.make(as, fail); err != nil {
			break
		}
		if err = s.startSoon(); err == nil {
			if err = s.furnish(); err == nil {
				return s, nil
			}
			s.Kill()
			break
		}
		err = fmt.Errorf("%s: %w\n%s", s.title, err, s.log)
		if !strings.Contains(s.log.String(), "could not bind") {
			break
		}
		_ = os.RemoveAll(s.data)
	}
	s.remove()
	return nil, err
}

// make makes the data, and says how the server is started on a free port.
func (s *PostgresServer) make(as uint32, fail func(string, ...any)) (err error) {
	if s.port, err = freePort(); err != nil {
		return err
	}
	s.Process = &Process{title: "postgres at " + s.Addr(), log: new(tail), fail: fail}
	s.spec = command{path: filepath.Join(s.programs, "postgres"), args: []string{"-D", s.data}, dir: s.dir, user: as, ready: s.ready}
	if as != 0 {
		if err := os.Chown(s.dir, int(as), int(as)); err != nil {
			return err
		}
	}
	maker := exec.Command(filepath.Join(s.programs, "initdb"), "-D", s.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	if of := s.options.ReplicaOf; of != nil {
		maker = exec.Command(filepath.Join(s.programs, "pg_basebackup"), "-D", s.data, "-U", "postgres", "-h", of.dir, "-p", strconv.Itoa(of.port),
			"-R", "-c", "fast", "--no-sync")
	}
	maker.Dir = s.dir
	if out, err := runBound(maker, as); err != nil {
		return fmt.Errorf("%s: %w\n%s", maker, err, out)
	}
	files := map[string]string{
		"pg_hba.conf":     strings.Join(s.hba(), "\n") + "\n",
		"postgresql.conf": strings.Join(s.config(), "\n") + "\n",
	}
	if c := s.options.TLS; c != nil {
		for name, from := range map[string]string{"server.pem": c.ServerFile, "server.key": c.ServerKeyFile, "root.pem": c.RootFile} {
			text, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			files[name] = string(text)
		}
	}
	return writeOwned(s.data, files, as)
}

// runBound runs a program that ends with this process.
func runBound(cmd *exec.Cmd, as uint32) ([]byte, error) {
	runtime.LockOSThread() // on Linux a program ends with the thread that has started it
	defer runtime.UnlockOSThread()
	bind(cmd, as)
	return cmd.CombinedOutput()
}

// writeOwned writes files that only their owner may read.
func writeOwned(dir string, files map[string]string, owner uint32) error {
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		if owner != 0 {
			if err := os.Chown(path, int(owner), int(owner)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *PostgresServer) hba() []string {
	host, auth := "host", s.options.Auth
	if auth == "" {
		auth = "trust"
	}
	if s.options.TLS != nil {
		host = "hostssl"
		if s.options.ClientCert {
			auth += " clientcert=verify-ca"
		}
	}
	return []string{"local all all trust", "local replication all trust", host + " all all 127.0.0.1/32 " + auth, "host replication all 127.0.0.1/32 trust"}
}

func (s *PostgresServer) config() []string {
	lines := []string{
		"listen_addresses = '127.0.0.1'",
		"port = " + strconv.Itoa(s.port),
		fmt.Sprintf("unix_socket_directories = '%s'", s.dir),
		"fsync = off",
		"autovacuum_naptime = 5s",
		"shared_buffers = 32MB",
		"wal_keep_size = 64MB",
		"hot_standby_feedback = on",
	}
	if s.options.Auth == "md5" {
		lines = append(lines, "password_encryption = md5")
	}
	if c := s.options.TLS; c != nil {
		lines = append(lines, "ssl = on", fmt.Sprintf("ssl_cert_file = '%s'", filepath.Join(s.data, "server.pem")),
			fmt.Sprintf("ssl_key_file = '%s'", filepath.Join(s.data, "server.key")), fmt.Sprintf("ssl_ca_file = '%s'", filepath.Join(s.data, "root.pem")))
	}
	return append(lines, s.options.Settings...)
}

func (s *PostgresServer) ready() error {
	_, err := s.psql(s.dir, s.port, "postgres", "postgres", "SELECT 1")
	return err
}

// furnish makes the role and the database.
func (s *PostgresServer) furnish() error {
	if s.options.ReplicaOf != nil {
		return nil
	}
	for _, sql := range []string{
		fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", PostgresUser, PostgresPassword),
		fmt.Sprintf("CREATE DATABASE %s OWNER %s", PostgresDatabase, PostgresUser),
	} {
		if out, err := s.psql(s.dir, s.port, "postgres", "postgres", sql); err != nil {
			return fmt.Errorf("%s: %w: %s", sql, err, out)
		}
	}
	return nil
}

var sharedPostgres struct {
	once   sync.Once
	server *PostgresServer
	err    error
}

// SharedPostgres returns a server without a password that the tests of a package have in
// common, as [SharedRedis] does. Each test uses tables of its own.
func SharedPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	shared.Lock()
	main := shared.main
	shared.Unlock()
	if !main {
		t.Fatal("SharedPostgres needs a TestMain that calls backend.Main: nobody would end the server")
	}
	sharedPostgres.once.Do(func() {
		sharedPostgres.server, sharedPostgres.err = startPostgres(PostgresOptions{Settings: []string{"max_connections = 200"}}, failShared)
	})
	require(t, sharedPostgres.err)
	s := sharedPostgres.server
	from := s.log.position()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s has logged since this test began:\n%s", s.title, s.log.since(from))
		}
	})
	return s
}

// endSharedPostgres ends it.
func endSharedPostgres() {
	if s := sharedPostgres.server; s != nil {
		s.Kill()
		s.remove()
	}
}

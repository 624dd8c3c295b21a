package backend

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// RedisPrograms are the programs that this package can start.
var RedisPrograms = []string{"redis-server", "valkey-server"}

// RedisOptions says what a server is like. The zero value is a server without a password
// that keeps everything in memory.
type RedisOptions struct {
	Program string // one of RedisPrograms, or a path; "": the first of RedisPrograms that is installed

	Password string   // of the user "default"; "": none is needed
	Users    []string // more users, as ACL SETUSER takes them: "waddle on >secret ~waddle:* +@all"

	TLS        *Certificates // TLS only, with this certificate; nil: no TLS
	ClientCert bool          // clients must have a certificate of the same root

	Unix bool // the server also listens on a unix socket, which [Server.Socket] names

	MaxMemory int64  // bytes; 0: no bound
	Policy    string // what happens above MaxMemory; "": noeviction

	// Persist writes each change to a file, and to the disk, before it is answered.
	// A server that is killed and started again then has it. Without Persist it is empty.
	Persist bool

	ReplicaOf *Server // the master; the server answers when it has a copy

	// Settings are lines of the configuration file, such as "hz 100". They come last.
	Settings []string
}

// Server is a Redis or Valkey server.
type Server struct {
	*Process
	options  instance
	dir      string
	port     int
	socket   string
	endpoint endpoint
	nodeID   string // of a node of a cluster
}

// instance is what a server is like, as one of several too.
type instance struct {
	RedisOptions
	sentinel bool
	bus      int                     // the port for other nodes of a cluster; 0: it is no node
	announce func(port int) []string // more settings, which depend on the port
}

// Redis starts a server, which ends with the test.
func Redis(t testing.TB, o RedisOptions) *Server {
	t.Helper()
	s, err := startRedis(instance{RedisOptions: o}, t.Errorf)
	require(t, err)
	atEnd(t, s.Process, s.remove)
	return s
}

// atEnd ends a server after the test, and says what it has logged if the test has failed.
func atEnd(t testing.TB, p *Process, then func()) {
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s has logged:\n%s", p.title, p.log)
		}
		then()
	})
}

// Addr returns the address as host:port. With RedisOptions.TLS it is that of TLS.
func (s *Server) Addr() string { return loopback(s.port) }

// Port returns the port.
func (s *Server) Port() int { return s.port }

// Socket returns the path of the unix socket, or "" without RedisOptions.Unix.
func (s *Server) Socket() string { return s.socket }

// Dir returns the directory of the server's files.
func (s *Server) Dir() string { return s.dir }

// Command sends a command as the user "default", over a connection of its own. The answer
// is a string, an int64, nil, or a list of such; an error of the server is a [RedisError].
func (s *Server) Command(args ...string) (any, error) { return s.endpoint.command(args...) }

// CommandAs is [Server.Command] as another user; "" is the user "default", and a password
// of "" does not log in.
func (s *Server) CommandAs(user, password string, args ...string) (any, error) {
	as := s.endpoint
	as.user, as.password = user, password
	return as.command(args...)
}

// Do is [Server.Command] for commands that do not fail: an error fails the test.
func (s *Server) Do(args ...string) any {
	answer, err := s.Command(args...)
	if err != nil {
		s.fail("%s: %s: %v", s.title, strings.Join(args, " "), err)
	}
	return answer
}

// Info returns one field of the command INFO, such as "role", or "" if there is none.
func (s *Server) Info(field string) string {
	text, err := s.Command("INFO", "everything")
	if err != nil {
		return ""
	}
	all, _ := text.(string)
	for line := range strings.SplitSeq(all, "\r\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return value
		}
	}
	return ""
}

// SetPassword changes the password of the user "default" in the running server. Connections
// that are open stay logged in; [Server.CutClients] ends them.
func (s *Server) SetPassword(password string) {
	s.Do("CONFIG", "SET", "requirepass", password)
	s.endpoint.password = password
}

// CutClients closes the connections of all clients.
func (s *Server) CutClients() { s.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }

// startRedis starts a server that nobody ends yet.
func startRedis(o instance, fail func(string, ...any)) (*Server, error) {
	programs := RedisPrograms
	if o.Program != "" {
		programs = []string{o.Program}
	}
	path, err := installed(programs...)
	if err != nil {
		return nil, err
	}
	// The name of a unix socket must be short, which that of a test's directory is not.
	dir, err := os.MkdirTemp("", "waddle-redis")
	if err != nil {
		return nil, err
	}
	// Somebody may take the port before the server does.
	for range 5 {
		var s *Server
		if s, err = newRedis(path, dir, o, fail); err != nil {
			break
		}
		if err = s.start(); err == nil {
			return s, nil
		}
		err = fmt.Errorf("%s: %w\n%s", s.title, err, s.log)
		if !strings.Contains(s.log.String(), "bind") {
			break
		}
	}
	_ = os.RemoveAll(dir)
	return nil, err
}

func newRedis(path, dir string, o instance, fail func(string, ...any)) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, dir: dir, port: port}
	if o.Unix {
		s.socket = filepath.Join(dir, "s")
	}
	s.endpoint = endpoint{network: "tcp", address: s.Addr(), password: o.Password}
	if o.TLS != nil {
		s.endpoint.tls = o.TLS.Client()
	}
	if err := s.configure(); err != nil {
		return nil, err
	}
	title, args := filepath.Base(path), []string{s.file()}
	if o.sentinel {
		title, args = title+" as a sentinel", append(args, "--sentinel")
	}
	s.Process = &Process{
		title: fmt.Sprintf("%s at %s", title, s.Addr()),
		log:   new(tail),
		fail:  fail,
		spec:  command{path: path, args: args, dir: dir, ready: s.ready},
	}
	return s, nil
}

// file is that of the server's configuration. Sentinels keep what they learn there.
func (s *Server) file() string { return filepath.Join(s.dir, "server.conf") }

func (s *Server) configure() error {
	return os.WriteFile(s.file(), []byte(strings.Join(s.config(), "\n")+"\n"), 0o600)
}

// config returns the lines of the server's configuration.
func (s *Server) config() []string {
	o := &s.options
	port, tlsPort := s.port, 0
	if o.TLS != nil {
		port, tlsPort = 0, s.port
	}
	lines := []string{
		"bind 127.0.0.1",
		"port " + strconv.Itoa(port),
		"dir " + strconv.Quote(s.dir),
		"protected-mode no",
		`save ""`,
		"enable-debug-command local",
		"repl-diskless-sync-delay 0",
		"repl-ping-replica-period 1",
	}
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if o.TLS != nil {
		add("tls-port %d", tlsPort)
		add("tls-cert-file %q", o.TLS.ServerFile)
		add("tls-key-file %q", o.TLS.ServerKeyFile)
		add("tls-ca-cert-file %q", o.TLS.RootFile)
		add("tls-replication yes")
		add("tls-cluster yes")
		if !o.ClientCert {
			add("tls-auth-clients no")
		}
	}
	if o.Password != "" {
		add("requirepass %q", o.Password)
		add("masterauth %q", o.Password)
	}
	for _, user := range o.Users {
		add("user %s", user)
	}
	if o.Unix {
		add("unixsocket %q", s.socket)
	}
	if o.MaxMemory > 0 {
		policy := o.Policy
		if policy == "" {
			policy = "noeviction"
		}
		add("maxmemory %d", o.MaxMemory)
		add("maxmemory-policy %s", policy)
	}
	if o.Persist {
		add("appendonly yes")
		add("appendfsync always")
	}
	if m := o.ReplicaOf; m != nil {
		add("replicaof 127.0.0.1 %d", m.port)
		if m.options.Password != "" {
			add("masterauth %q", m.options.Password)
		}
	}
	if o.announce != nil {
		lines = append(lines, o.announce(s.port)...)
	}
	return append(lines, o.Settings...)
}

// ready fails until the server answers, has read its files, and has a copy of its master.
func (s *Server) ready() error {
	if _, err := s.Command("PING"); err != nil { // ROLE answers while files are being read
		return err
	}
	answer, err := s.Command("ROLE")
	if err != nil {
		return err
	}
	role, _ := answer.([]any)
	if len(role) >= 4 && role[0] == "slave" && role[3] != "connected" && s.options.ReplicaOf != nil {
		return fmt.Errorf("its link to the master is %q", role[3])
	}
	return nil
}

func (s *Server) remove() { _ = os.RemoveAll(s.dir) }

package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/waddle-sessions/waddle/host/storetest/backend"
)

// servers are what the subjects of one table keep their sessions in.
type servers struct {
	redis    *backend.Server
	postgres *backend.PostgresServer
}

// missingServer is the error of a server that is not installed.
type missingServer struct{ why string }

func (m *missingServer) Error() string { return m.why }

// withServers starts the server that a table needs, and ends it after f.
func withServers(name string, f func(*servers) error) error {
	s := new(servers)
	return withBackend(func(t testing.TB) {
		switch name {
		case "Redis":
			s.redis = backend.Redis(t, backend.RedisOptions{})
		default:
			s.postgres = backend.Postgres(t, backend.PostgresOptions{Settings: []string{"fsync = on"}})
		}
	}, func() error { return f(s) })
}

// withBackend lets package backend, which is for tests, start servers for a program.
func withBackend(start func(testing.TB), f func() error) error {
	p := new(programTB)
	defer p.end()
	done := make(chan struct{})
	go func() { // which Skipf and Fatalf end
		defer close(done)
		start(p)
	}()
	<-done
	if p.err != nil {
		return p.err
	}
	return f()
}

// programTB is a testing.TB outside a test, with what package backend uses of it.
type programTB struct {
	testing.TB
	cleanups []func()
	err      error
}

func (p *programTB) end() {
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
}

func (p *programTB) Helper()                   {}
func (p *programTB) Name() string              { return "bench" }
func (p *programTB) Cleanup(f func())          { p.cleanups = append(p.cleanups, f) }
func (p *programTB) Failed() bool              { return false }
func (p *programTB) Logf(string, ...any)       {}
func (p *programTB) Log(...any)                {}
func (p *programTB) Errorf(f string, a ...any) { fmt.Fprintf(os.Stderr, "bench: "+f+"\n", a...) }

func (p *programTB) TempDir() string {
	dir, err := os.MkdirTemp("", "waddle-bench-")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (p *programTB) Skipf(format string, args ...any) {
	p.err = &missingServer{fmt.Sprintf(format, args...)}
	runtime.Goexit()
}

func (p *programTB) Fatalf(format string, args ...any) {
	p.err = fmt.Errorf(format, args...)
	runtime.Goexit()
}

func (p *programTB) Fatal(args ...any) { p.Fatalf("%s", fmt.Sprint(args...)) }

// portOf returns the port of an address.
func portOf(address string) int {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(port)
	return n
}

package probes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Server answers probes on an address of its own from a process's first moment to its
// last: while the storage is being opened, the process is alive and not ready.
type Server struct {
	listener net.Listener
	server   *http.Server
	watched  atomic.Pointer[http.Handler]
	served   chan struct{}
}

// unixPrefix begins an address that is the path of a socket.
const unixPrefix = "unix:"

// Listen begins to answer on an address: HOST:PORT, or unix:PATH for a socket, which has the
// permissions of a file that the process makes. A socket on which nobody listens any more
// is replaced.
func Listen(ctx context.Context, addr string) (*Server, error) {
	network, at := "tcp", addr
	if path, ok := strings.CutPrefix(addr, unixPrefix); ok {
		network, at = "unix", path
		if err := removeStale(ctx, path); err != nil {
			return nil, err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, at)
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l, served: make(chan struct{})}
	starting := http.NewServeMux()
	starting.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	starting.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusServiceUnavailable, "not ready: the server is starting")
	})
	s.use(starting)
	s.server = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.watched.Load()).ServeHTTP(w, r) }),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(l) // until Close
	}()
	return s, nil
}

// removeStale removes a socket that a killed process left behind.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is not a socket: must be a socket, or nothing", path)
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("%s: %w", path, syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.Remove(path)
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Watch makes the server answer with what probes say.
func (s *Server) Watch(p *Probes) { s.use(p.Handler()) }

func (s *Server) use(h http.Handler) { s.watched.Store(&h) }

// Close ends the server at once. It may be called twice.
func (s *Server) Close() error {
	err := s.server.Close()
	<-s.served
	return err
}

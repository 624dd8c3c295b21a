package hosting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// scanEvery is how often the directory is looked at.
const scanEvery = time.Second

// Server serves the tenants of a directory, and the operator's interface.
type Server struct {
	Directory *Directory
	Site      http.Handler
	Admin     http.Handler
	Close     func(context.Context) error // ends the tenants

	// Look makes the server look at the directory at once.
	Look <-chan os.Signal

	// Grace is how long running requests may take to finish; default 10 s.
	Grace time.Duration
}

// Serve answers requests until the context ends. Then it accepts no more, waits for those
// that run, and ends the tenants, which saves what is to be kept. It closes the listeners;
// admin may be nil.
func (s *Server) Serve(ctx context.Context, site, admin net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.Directory.Watch(ctx, scanEvery, s.Look)
	}()
	// A deploy may take minutes to answer.
	var servers []*http.Server
	served := make(chan error, 2)
	serve := func(l net.Listener, h http.Handler, write time.Duration) {
		server := server(h, write)
		servers = append(servers, server)
		go func() { served <- server.Serve(l) }()
	}
	serve(site, s.Site, time.Minute)
	if admin != nil {
		serve(admin, s.Admin, deployWithin+time.Minute)
	}
	var failed error
	select {
	case err := <-served:
		failed = fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	stop()
	<-watched
	grace := s.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	ending, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	for _, server := range servers {
		if err := server.Shutdown(ending); err != nil {
			_ = server.Close()
			failed = errors.Join(failed, fmt.Errorf("requests that were not finished after %v were cut off: %w", grace, err))
		}
	}
	saving, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(failed, s.Close(saving))
}

func server(h http.Handler, write time.Duration) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      write,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// ErrInUse is returned if another process serves a directory.
var ErrInUse = errors.New("another process already serves the manifests of this directory")

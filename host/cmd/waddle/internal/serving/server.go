package serving

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Server serves a service until it is told to stop. At the end it saves everything that
// was answered.
type Server struct {
	Service *Service

	// Store is saved and closed when the server has stopped.
	Store store.Store

	// Certificates are for the listeners that are not unix sockets.
	Certificates *Certificates

	// DrainDelay is how long the operator's address says that the service is not ready,
	// for load balancers that ask there, before it takes no more requests.
	DrainDelay time.Duration

	// Grace is how long running requests may take to finish; default 10 s.
	Grace time.Duration

	Log *slog.Logger // default slog.Default
}

// Serve answers requests until the context ends. Then it is not ready any more, accepts
// no more connections, waits for requests that run, and saves and closes the store. It returns nil if
// all of that succeeded. It closes the listeners; operator may be nil.
func (s *Server) Serve(ctx context.Context, clients []net.Listener, operator net.Listener) error {
	served := make(chan error, len(clients)+1)
	var forClients, forOperator *http.Server
	start := func(h http.Handler, most int, write time.Duration, listeners ...net.Listener) (*http.Server, error) {
		server := s.server(h, write)
		if s.Certificates != nil {
			var err error
			if server.TLSConfig, err = s.Certificates.Config(); err != nil {
				return nil, err
			}
		}
		for _, l := range listeners {
			counted := &countedListener{Listener: l, most: most}
			go func() {
				if l.Addr().Network() == "unix" {
					served <- server.Serve(counted)
					return
				}
				served <- server.ServeTLS(counted, "", "")
			}()
		}
		return server, nil
	}
	forClients, failed := start(s.Service.Handler(), s.Service.clients.limits.Connections, time.Minute, clients...)
	if failed == nil && operator != nil {
		// Counting reads all that is stored.
		forOperator, failed = start(s.Service.Operator(), s.Service.operator.limits.Connections, 10*time.Minute, operator)
	}
	if failed == nil {
		select {
		case err := <-served:
			failed = fmt.Errorf("serving: %w", err)
		case <-ctx.Done():
		}
	}
	s.Service.probes.End()
	if failed == nil && operator != nil && s.DrainDelay > 0 {
		time.Sleep(s.DrainDelay)
	}
	// The operator is answered until the clients' last request is.
	failed = errors.Join(failed, s.finish(forClients), s.finish(forOperator))
	return errors.Join(failed, s.save())
}

func (s *Server) server(h http.Handler, write time.Duration) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // on sockets
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      write,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withPeer,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
		ErrorLog:          slog.NewLogLogger(thinned(cmp.Or(s.Log, slog.Default()).Handler()), slog.LevelInfo),
	}
}

// finish waits for the running requests.
func (s *Server) finish(server *http.Server) error {
	if server == nil {
		return nil
	}
	grace := cmp.Or(s.Grace, 10*time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
		return fmt.Errorf("requests that were not finished after %v were cut off: %w", grace, err)
	}
	return nil
}

// save saves and closes the store.
func (s *Server) save() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var failed error
	err := store.Save(ctx, s.Store, store.At(s.Service.settings.Now()))
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, store.ErrUnsupported) {
		failed = fmt.Errorf("saving the sessions: %w", err)
	}
	if err := store.Close(ctx, s.Store); err != nil {
		failed = errors.Join(failed, fmt.Errorf("closing the storage: %w", err))
	}
	return failed
}

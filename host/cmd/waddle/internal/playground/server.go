package playground

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// Server serves a playground until it is told to stop. At the end it saves
// everything that was answered.
type Server struct {
	Handler http.Handler

	// Store is the store that the server saves and closes after it has stopped.
	Store store.Store

	// Grace is how long running requests may take to finish; default 10 s.
	Grace time.Duration

	// Now is the clock; default [time.Now].
	Now func() time.Time
}

// Serve answers requests until ctx is done. It then accepts no more, waits for
// running ones, saves and closes the store, and returns nil if all of that
// succeeded. It closes the listener. A server serves once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	var failed error
	select {
	case err := <-served:
		failed = fmt.Errorf("playground: serving: %w", err)
	case <-ctx.Done():
		failed = s.finish(server)
		<-served
	}
	return errors.Join(failed, s.save())
}

// finish waits for the running requests.
func (s *Server) finish(server *http.Server) error {
	grace := s.Grace
	if grace == 0 {
		grace = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
		return fmt.Errorf("playground: requests that were not finished after %v were cut off: %w", grace, err)
	}
	return nil
}

// save saves and closes the store. It closes the store even if saving fails. Closing
// saves what there was no time for.
func (s *Server) save() error {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var failed error
	err := store.Save(ctx, s.Store, store.At(now()))
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, store.ErrUnsupported) {
		failed = fmt.Errorf("playground: saving the sessions: %w", err)
	}
	if err := store.Close(ctx, s.Store); err != nil {
		failed = errors.Join(failed, fmt.Errorf("playground: closing the storage: %w", err))
	}
	return failed
}

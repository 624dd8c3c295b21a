package hosting

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir)
	require.NoError(t, err)
	if _, err = Lock(dir); err == nil {
		t.Skip("directories cannot be locked here")
	}
	require.ErrorIs(t, err, ErrInUse)
	unlock()
	unlock, err = Lock(dir)
	require.NoError(t, err)
	unlock()
}

// TestServe: the end lets running requests finish and ends the tenants, and clients that
// send nothing do not hold it up.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	host, err := tenant.NewHost(tenant.HostConfig{Dir: dir, Logger: log})
	require.NoError(t, err)
	site, panel := must(net.Listen("tcp", "127.0.0.1:0")), must(net.Listen("tcp", "127.0.0.1:0"))
	begun, finish := make(chan struct{}), make(chan struct{})
	s := Server{Directory: NewDirectory(dir, host, log), Close: host.Close, Grace: time.Minute,
		Site: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-finish
			_, _ = io.WriteString(w, "whole")
		}), Admin: http.NotFoundHandler()}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, site, panel) }()
	answers := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + site.Addr().String())
		if err != nil {
			answers <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answers <- string(body)
	}()
	<-begun
	stop()
	close(finish)
	require.Equal(t, "whole", <-answers)
	require.NoError(t, <-served)
	_, err = host.Deploy(context.Background(), tenant.Manifest{Name: "late"})
	require.ErrorIs(t, err, tenant.ErrClosed)
}

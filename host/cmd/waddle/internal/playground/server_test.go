package playground_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/playground"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// journal records the order in which a store is written, saved and closed.
type journal struct {
	store.Store
	entries []string
	saved   int64
}

func (j *journal) Set(ctx context.Context, w store.Write) error {
	j.entries = append(j.entries, "set")
	return j.Store.Set(ctx, w)
}

func (j *journal) Save(ctx context.Context, now store.Millis) error {
	j.entries, j.saved = append(j.entries, "save"), int64(now)
	return store.Save(ctx, j.Store, now)
}

func (j *journal) Close(ctx context.Context) error {
	j.entries = append(j.entries, "close")
	return store.Close(ctx, j.Store)
}

// listening is a running server.
type listening struct {
	address string
	stop    context.CancelFunc
	ended   chan error
}

func start(t *testing.T, s playground.Server) *listening {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	return &listening{"http://" + l.Addr().String(), stop, ended}
}

func TestServerFinishesAndSaves(t *testing.T) {
	j := &journal{Store: store.NewMemory()}
	handler, err := playground.New(playground.Config{Store: j, Settings: session.Defaults()})
	require.NoError(t, err)
	began, finish := make(chan struct{}), make(chan struct{})
	held := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-finish
		handler.ServeHTTP(w, r)
	})
	now := time.UnixMilli(1_900_000_000_000)
	server := start(t, playground.Server{Handler: held, Store: j, Now: func() time.Time { return now }})

	v := visit(t, server.address)
	got := make(chan answer, 1)
	go func() { got <- v.do("PUT", "/api/session/k", "1") }()
	<-began
	server.stop()
	require.Eventually(t, func() bool {
		_, err := net.Dial("tcp", server.address[len("http://"):])
		return err != nil
	}, time.Minute, time.Millisecond, "no new requests are taken")
	require.Empty(t, j.entries, "nothing is saved while a request runs")
	close(finish)

	require.Equal(t, 200, (<-got).StatusCode)
	require.NoError(t, <-server.ended)
	require.Equal(t, []string{"set", "save", "close"}, j.entries)
	require.Equal(t, now.UnixMilli(), j.saved)
}

func TestServerCutsOffWhatDoesNotFinish(t *testing.T) {
	j := &journal{Store: store.NewMemory()}
	began := make(chan struct{})
	server := start(t, playground.Server{Store: j, Grace: 10 * time.Millisecond, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})})
	go func() {
		if r, err := http.Get(server.address); err == nil {
			r.Body.Close()
		}
	}()
	<-began
	server.stop()
	err := <-server.ended
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "cut off")
	require.Equal(t, []string{"save", "close"}, j.entries)
}

func TestServerTellsWhatFails(t *testing.T) {
	broken, stuck := errors.New("disk broken"), errors.New("stuck")
	for _, c := range []struct {
		name        string
		save, close error
		wants       []error
	}{
		{"saving", broken, nil, []error{broken}},
		{"closing", nil, stuck, []error{stuck}},
		{"both", broken, stuck, []error{broken, stuck}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sessiontest.NewStore(store.NewMemory())
			s.Fail(c.save, sessiontest.Save)
			s.Fail(c.close, sessiontest.Close)
			server := start(t, playground.Server{Handler: http.NotFoundHandler(), Store: s})
			server.stop()
			err := <-server.ended
			for _, want := range c.wants {
				require.ErrorIs(t, err, want)
			}
		})
	}
	t.Run("listening", func(t *testing.T) {
		j := &journal{Store: store.NewMemory()}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		s := playground.Server{Handler: http.NotFoundHandler(), Store: j}
		require.ErrorIs(t, s.Serve(t.Context(), l), net.ErrClosed)
		require.Equal(t, []string{"save", "close"}, j.entries)
	})
}

// A store that hangs while saving does not keep the program for ever.
func TestServerDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := playground.Server{Handler: http.NotFoundHandler(), Store: hanging{slow{store.NewMemory()}}}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		require.ErrorIs(t, s.Serve(ctx, noListener{make(chan struct{})}), context.DeadlineExceeded)
	})
}

// A store with much to save goes on saving while it closes: a good end is not a
// failure.
func TestServerWaitsForWhatClosingSaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := playground.Server{Handler: http.NotFoundHandler(), Store: slow{store.NewMemory()}}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		require.NoError(t, s.Serve(ctx, noListener{make(chan struct{})}))
	})
}

// slow never finishes saving in time until it is closed.
type slow struct{ store.Store }

func (slow) Save(ctx context.Context, _ store.Millis) error {
	<-ctx.Done()
	return ctx.Err()
}

// hanging does not even finish closing.
type hanging struct{ slow }

func (hanging) Close(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// noListener is a listener to which nobody connects.
type noListener struct{ closed chan struct{} }

func (l noListener) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

func (l noListener) Close() error   { close(l.closed); return nil }
func (l noListener) Addr() net.Addr { return &net.TCPAddr{} }

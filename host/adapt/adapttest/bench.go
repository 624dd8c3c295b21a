package adapttest

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// bench is one server of the framework and what a check needs around it. Its
// handlers run in the server, its checks are the client.
type bench struct {
	// T fails the check. The test itself goes on, and owns what must be closed.
	require.TestingT
	test      testing.TB
	framework Framework
	patience  time.Duration

	sessions *session.Manager
	store    *sessiontest.Store
	tracing  *sdktrace.TracerProvider
	spans    *tracetest.InMemoryExporter

	url       string
	transport *http.Transport

	steps chan struct{} // the client lets a handler go on
	found chan error    // a handler tells what it found
	over  chan struct{} // the check has ended, and handlers must

	*notes
}

// notes are what the server's side tells of requests.
type notes struct {
	mu     sync.Mutex
	events []session.Event
	logged []logLine
}

// logLine is what the framework's logger saw of a request.
type logLine struct {
	status int
	size   int64
}

func newBench(test testing.TB, t require.TestingT, f Framework, patience time.Duration) *bench {
	spans := tracetest.NewInMemoryExporter()
	return &bench{
		TestingT: t, test: test, framework: f, patience: patience, spans: spans,
		tracing: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)),
		steps:   make(chan struct{}), found: make(chan error, 16), over: make(chan struct{}),
		notes: new(notes),
	}
}

// start runs the framework's server over a store.
func (b *bench) start(over store.Store, o Options, change ...func(*session.Settings)) {
	b.store = sessiontest.NewStore(over)
	tracers, meters := waddleotel.WithTracerProvider(b.tracing), waddleotel.WithMeterProvider(metricnoop.NewMeterProvider())
	settings := session.Defaults()
	settings.OnEvent = session.Events(b.noteEvent, waddleotel.OnEvent(tracers, meters))
	settings.Namespace = b.test.Name() // several checks may use one store
	if len(settings.Namespace) > session.MaxNamespace {
		settings.Namespace = settings.Namespace[len(settings.Namespace)-session.MaxNamespace:]
	}
	for _, c := range change {
		c(&settings)
	}
	var err error
	b.sessions, err = session.New(waddleotel.Store(b.store, tracers, meters), settings)
	require.NoError(b, err)
	o.Routes, o.Tracers, o.Logged = b.routes(), b.tracing, b.noteLogged
	b.url = b.framework.Start(b.test, b.sessions, o)
	b.transport = &http.Transport{DisableCompression: true}
	if o.TLS != nil {
		b.transport.TLSClientConfig = clientTLS()
		b.transport.ForceAttemptHTTP2 = true
	}
	b.test.Cleanup(func() { // before the server's own, which came earlier
		close(b.over)
		b.transport.CloseIdleConnections()
	})
}

// startNative runs the server over the native store.
func (b *bench) startNative(o Options, change ...func(*session.Settings)) {
	b.start(store.NewMemory(), o, change...)
}

func (n *notes) noteEvent(_ context.Context, e session.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

func (n *notes) noteLogged(status int, size int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.logged = append(n.logged, logLine{status, size})
}

// errorsOf returns the errors of the events of a kind, joined.
func (n *notes) errorsOf(kind session.EventKind) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []error
	for _, e := range n.events {
		if e.Kind == kind {
			all = append(all, e.Err)
		}
	}
	return errors.Join(all...)
}

// wait makes a handler wait for the client's step.
func (b *bench) wait(ctx context.Context) error {
	select {
	case <-b.steps:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.over:
		return errOver
	}
}

var errOver = errors.New("adapttest: the check is over")

// step lets a handler go on.
func (b *bench) step() {
	select {
	case b.steps <- struct{}{}:
	case <-time.After(b.patience):
		require.FailNow(b, "found no handler that waits for the client, want one")
	}
}

// finding waits for what a handler found.
func (b *bench) finding() error {
	select {
	case err := <-b.found:
		return err
	case <-time.After(b.patience):
		require.FailNow(b, "found no word of a handler, want one")
		return nil
	}
}

// eventually waits until a condition holds that something else brings about.
func (b *bench) eventually(holds func() bool, message string) {
	for end := time.Now().Add(b.patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(b, message)
		}
	}
}

// together runs checks at the same time, and fails if one of them does.
func (b *bench) together(checks ...func(*bench)) {
	failures := make([]string, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() {
			failures[i] = attempt(func(t require.TestingT) {
				one := *b
				one.TestingT = t
				check(&one)
			})
		})
	}
	wg.Wait()
	require.Empty(b, strings.Join(slices.DeleteFunc(failures, func(f string) bool { return f == "" }), "\n"))
}

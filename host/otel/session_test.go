package waddleotel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

var visits = session.NewKey[int]("visits-are-a-key")

const user, secret = "ada-is-a-user", "london-is-a-value"

// app is an application with telemetry behind a real server.
type app struct {
	*telemetry
	happened chan session.Event    // events of the sessions
	sessions *sessiontest.Sessions // over the wrapper
	faults   *sessiontest.Store    // beneath it
	server   *httptest.Server
}

func newApp(t testing.TB, s store.Store, options ...waddleotel.Option) *app {
	t.Helper()
	a := &app{telemetry: newTelemetry(), faults: sessiontest.NewStore(s), happened: make(chan session.Event, 1000)}
	options = a.options(options...)
	a.sessions = sessiontest.NewOver(t, waddleotel.Store(a.faults, options...), func(s *session.Settings) {
		s.OnEvent = session.Events(waddleotel.OnEvent(options...), func(_ context.Context, e session.Event) { a.happened <- e })
		s.IdleTimeout = time.Hour
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		n, err := session.Increment(session.From(r), visits, 1)
		if err != nil {
			a.sessions.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("/look", func(w http.ResponseWriter, r *http.Request) {
		if _, err := visits.Get(session.From(r)); err != nil {
			a.sessions.WriteError(w, r, err)
		}
	})
	mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) {
		_ = session.From(r).Set("city", secret)
		_ = session.From(r).LogIn(user, map[string]string{"browser": secret})
	})
	mux.HandleFunc("/logout", func(_ http.ResponseWriter, r *http.Request) { _ = session.From(r).Destroy() })
	mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "begun")
		_ = http.NewResponseController(w).Flush()
		_ = session.From(r).Set("late", secret)
	})
	mux.HandleFunc("/nothing", func(http.ResponseWriter, *http.Request) {})
	a.server = httptest.NewServer(a.telemetry.server(a.sessions.Handler(mux)))
	t.Cleanup(a.server.Close)
	return a
}

// Each request leaves exactly the events, measurements and spans of its own work,
// over both stores.
func TestRequests(t *testing.T) {
	for _, st := range stores {
		t.Run(st.name, func(t *testing.T) {
			a := newApp(t, st.open(t))
			b := a.sessions.BrowserOf(a.server)
			wantEvents, wantOperations := map[string]int64{}, map[string]int64{}
			for _, step := range []struct {
				name, path string
				before     func()
				status     int
				event      string   // the session's last event
				operations []string // outcome by operation, in order, as the spans have them
				failed     string   // error.type
			}{
				{name: "no session touched", path: "/nothing", status: 200},
				{name: "no session there", path: "/look", status: 200},
				{name: "created", path: "/count", status: 200, event: "created", operations: []string{"set ok"}},
				{name: "changed", path: "/count", status: 200, operations: []string{"get ok", "set ok"}},
				{name: "looked at", path: "/look", status: 200, operations: []string{"get ok"}},
				{name: "logged in", path: "/login", status: 200, event: "renewed",
					operations: []string{"get ok", "get not_found", "set ok", "set ok", "set ok"}},
				{name: "unavailable", path: "/look", status: 503, event: "unavailable",
					before:     func() { a.faults.Fail(fmt.Errorf("%w: %s", store.ErrUnavailable, secret), sessiontest.Get) },
					operations: []string{"get error"}, failed: "unavailable"},
				{name: "failed late", path: "/late", status: 200, event: "failed",
					before: func() {
						a.faults.Fail(nil)
						a.faults.Fail(fmt.Errorf("%w: %s", store.ErrNoSpace, secret), sessiontest.Set)
					},
					operations: []string{"get ok", "get ok", "set error"}, failed: "no_space"},
				{name: "looked at again", path: "/look", status: 200, before: func() { a.faults.Fail(nil) },
					operations: []string{"get ok", "get ok"}},
			} {
				if step.before != nil {
					step.before()
				}
				a.spans.Reset()
				response := b.Get(step.path)
				require.Equal(t, step.status, response.StatusCode, step.name)
				spans := a.waitForRequest(t)
				root := spans[len(spans)-1]
				var events, operations []string
				for _, e := range root.Events {
					events = append(events, e.Name)
				}
				for _, s := range spans[:len(spans)-1] {
					require.Equal(t, root.SpanContext.SpanID(), s.Parent.SpanID(), step.name)
					require.Equal(t, root.SpanContext.TraceID(), s.SpanContext.TraceID(), step.name)
					op, outcome := value(s.Attributes, "waddle.store.operation"), value(s.Attributes, "waddle.store.outcome")
					require.Equal(t, "waddle.store."+op, s.Name, step.name)
					operations = append(operations, op+" "+outcome)
					point := "operation=" + op + " outcome=" + outcome
					if outcome == "error" {
						require.Equal(t, codes.Error, s.Status.Code)
						require.Equal(t, step.failed, s.Status.Description)
						require.Equal(t, step.failed, value(s.Attributes, "error.type"))
						point = "error.type=" + step.failed + " " + point
					} else {
						require.Equal(t, codes.Unset, s.Status.Code)
						require.Empty(t, value(s.Attributes, "error.type"))
					}
					wantOperations[point]++
				}
				var happened []string
				last := ""
				for len(a.happened) > 0 {
					last = (<-a.happened).Kind.String()
					wantEvents["event="+last]++
					happened = append(happened, "waddle.session."+last)
				}
				require.Equal(t, step.event, last, step.name)
				require.Equal(t, happened, events, step.name)
				require.Equal(t, step.operations, operations, step.name)
				for _, e := range root.Events {
					require.Equal(t, step.failed, value(e.Attributes, "error.type"), step.name)
				}
				require.Equal(t, wantEvents, a.counts(t, "waddle.session.events"), step.name)
				require.Equal(t, wantOperations, a.counts(t, "waddle.store.operation.duration"), step.name)
			}
		})
	}
}

// waitForRequest returns the spans of the only request since the last Reset. The
// request's own comes last, some time after the client has the response.
func (a *app) waitForRequest(t *testing.T) tracetest.SpanStubs {
	t.Helper()
	var spans tracetest.SpanStubs
	require.Eventually(t, func() bool {
		spans = a.spans.GetSpans()
		return len(spans) > 0 && spans[len(spans)-1].Name == "request"
	}, time.Minute, time.Millisecond)
	return spans
}

func value(attributes []attribute.KeyValue, key string) string {
	for _, a := range attributes {
		if string(a.Key) == key {
			return a.Value.AsString()
		}
	}
	return ""
}

// Nothing recorded contains an id, a key, a value, a user or the text of an error.
func TestNothingPrivateIsRecorded(t *testing.T) {
	for _, st := range stores {
		t.Run(st.name, func(t *testing.T) {
			a := newApp(t, st.open(t), waddleotel.WithAttributes(attribute.String("tenant", "acme")))
			b := a.sessions.BrowserOf(a.server)
			private := []string{user, secret, visits.Name(), "city", "browser"}
			note := func() {
				s := b.Session()
				id, err := s.ID()
				require.NoError(t, err)
				publicID, err := s.PublicID()
				require.NoError(t, err)
				for _, p := range []string{id, publicID} {
					if p != "" {
						private = append(private, p)
					}
				}
				for key, err := range a.faults.Keys(t.Context(), store.At(a.sessions.Clock.Now())) {
					require.NoError(t, err)
					// Logs name a session by its first bytes.
					private = append(private, fmt.Sprintf("%x", key[:6]), string(key))
				}
			}
			b.Get("/count")
			note()
			b.Get("/login")
			note()
			a.faults.Fail(fmt.Errorf("%w: %s %s", store.ErrUnavailable, secret, private[len(private)-1]))
			b.Get("/count")
			b.Get("/late")
			b.Get("/logout")
			a.faults.Fail(nil)
			b.Get("/logout")
			r, err := http.NewRequest("GET", "/look", nil)
			require.NoError(t, err)
			r.AddCookie(&http.Cookie{Name: "session_id", Value: secret})
			b.Do(r)
			a.server.Close() // when the last request has ended

			spans, err := json.Marshal(a.spans.GetSpans())
			require.NoError(t, err)
			metrics, err := json.Marshal(a.metrics(t))
			require.NoError(t, err)
			for _, kind := range []string{"created", "renewed", "unavailable", "destroyed", "rejected"} {
				require.Contains(t, string(spans), "waddle.session."+kind)
			}
			require.Greater(t, len(private), 8)
			for _, p := range private {
				require.NotContains(t, string(spans), p)
				require.NotContains(t, string(metrics), p)
			}
			require.Contains(t, string(metrics), "acme")

			allowed := map[attribute.Key]bool{"tenant": true, "error.type": true, "waddle.store.operation": true, "waddle.store.outcome": true}
			for _, s := range a.spans.GetSpans() {
				for _, kv := range s.Attributes {
					require.True(t, allowed[kv.Key], kv.Key)
				}
				require.Equal(t, s.Name != "request", value(s.Attributes, "tenant") == "acme")
				for _, e := range s.Events {
					require.Equal(t, "acme", value(e.Attributes, "tenant"))
					for _, kv := range e.Attributes {
						require.True(t, allowed[kv.Key], kv.Key)
					}
				}
			}
		})
	}
}

// Every existing kind of event, and one that does not exist yet.
func TestEveryKindIsCounted(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	o := newTelemetry()
	on := waddleotel.OnEvent(o.options()...)
	want := map[string]int64{}
	for kind := session.EventCreated; kind <= session.EventMisconfigured; kind++ {
		for range int(kind) {
			on(context.Background(), session.Event{Kind: kind, Session: "0123456789ab", Err: session.ErrGone})
		}
		want["event="+kind.String()] = int64(kind)
		require.Regexp(t, "waddle.session.event`:.*`"+kind.String()+"`", string(readme))
	}
	on(context.Background(), session.Event{Kind: -1})
	on(context.Background(), session.Event{Kind: 1000})
	want["event=unknown"] = 2
	require.Equal(t, want, o.counts(t, "waddle.session.events"))
	require.Empty(t, o.spans.GetSpans(), "without a request there is no span for it")
}

// Each of a session's own errors has a word, with or without one of the store's beneath
// it, and no other text.
func TestErrorTypesOfEvents(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{session.ErrGone, "gone"},
		{session.ErrHeadersSent, "headers_sent"},
		{session.ErrConflict, "conflict"},
		{session.ErrTooLarge, "too_large"},
		{fmt.Errorf("%w: %w", session.ErrTooLarge, store.ErrNoSpace), "too_large"},
		{fmt.Errorf("%w: %w", session.ErrDecode, store.ErrCorrupt), "decode"},
		{session.ErrEncode, "encode"},
		{store.ErrCorrupt, "corrupt"},
		{store.ErrClosed, "closed"},
		{context.DeadlineExceeded, "deadline_exceeded"},
		{errors.New(secret), "_OTHER"},
	} {
		o := newTelemetry()
		on := waddleotel.OnEvent(o.options()...)
		served := httptest.NewServer(o.server(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			on(r.Context(), session.Event{Kind: session.EventFailed, Err: fmt.Errorf("%w: %s", c.err, secret)})
		})))
		response, err := http.Get(served.URL)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		served.Close() // when the handler has returned
		spans := o.spans.GetSpans()
		require.Len(t, spans, 1)
		require.Len(t, spans[0].Events, 1)
		require.Equal(t, c.want, value(spans[0].Events[0].Attributes, "error.type"), "%v", c.err)
	}
}

func TestManyRequestsAtOnce(t *testing.T) {
	const clients, requests = 8, 25
	for _, st := range stores {
		t.Run(st.name, func(t *testing.T) {
			a := newApp(t, st.open(t))
			browsers := make([]*sessiontest.Browser, clients)
			for i := range browsers {
				browsers[i] = a.sessions.BrowserOf(a.server)
			}
			var wait sync.WaitGroup
			for _, b := range browsers {
				wait.Go(func() {
					for range requests {
						response, err := b.Client.Get(a.server.URL + "/count")
						if err == nil {
							response.Body.Close()
						}
					}
				})
			}
			wait.Wait()
			for _, b := range browsers {
				require.Equal(t, requests, sessiontest.Value(t, b.Session(), visits))
			}
			require.Equal(t, map[string]int64{"event=created": clients}, a.counts(t, "waddle.session.events"))
			counts := a.counts(t, "waddle.store.operation.duration")
			require.EqualValues(t, clients*requests, counts["operation=set outcome=ok"])
		})
	}
}

package probes

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/session"
)

type counter = atomic.Uint64

// OnEvent counts what happens to sessions. It is for Settings.OnEvent, beside others by
// [session.Events].
func (p *Probes) OnEvent(_ context.Context, e session.Event) {
	if i := int(e.Kind); i > 0 && i < len(p.events) {
		p.events[i].Add(1)
	}
}

// events count by kind.
type events [session.EventMisconfigured + 1]counter

// requests count by route.
type requests struct {
	mu     sync.Mutex
	routes []*route // in the order in which they were added
}

type route struct {
	name    string
	took    promtext.Durations
	classes [6]counter // by the first digit of the status; 0 for an aborted answer
	running atomic.Int64
}

// Requests counts the requests to a handler and how long they take, under the name of a
// route, of which there should be few. The answer's methods stay reachable by
// [http.ResponseController].
func (p *Probes) Requests(name string, next http.Handler) http.Handler {
	r := p.requests.route(name)
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		began := time.Now()
		r.running.Add(1)
		seen := &statusWriter{ResponseWriter: w}
		class := 0 // unless the handler returns
		defer func() {
			r.running.Add(-1)
			r.classes[class].Add(1)
			r.took.Observe(time.Since(began))
		}()
		next.ServeHTTP(seen, request)
		class = seen.class()
	})
}

func (r *requests) route(name string) *route {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, known := range r.routes {
		if known.name == name {
			return known
		}
	}
	added := &route{name: name}
	r.routes = append(r.routes, added)
	return added
}

func (r *requests) all() []*route {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*route(nil), r.routes...)
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) class() int {
	if w.status == 0 {
		return 2 // what net/http sends without being told
	}
	if class := w.status / 100; class < 6 {
		return class
	}
	return 5
}

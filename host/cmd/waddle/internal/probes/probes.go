package probes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// DefaultWithin is how long the store may take to answer a probe.
const DefaultWithin = 2 * time.Second

// Config configures probes. The zero value is the default.
type Config struct {
	// Within is how long the store may take to answer, default DefaultWithin.
	Within time.Duration

	// Now is the clock of the sessions, default [time.Now].
	Now func() time.Time
}

// Probes watch a store. They may be used by many goroutines.
type Probes struct {
	config   Config
	store    store.Store
	watched  *watched
	plugin   *plugin.Plugin // nil if the store is none
	began    time.Time
	ending   atomic.Bool
	events   events
	requests requests
}

// New returns probes of a store, whose figures include those of a [plugin.Plugin] that
// [store.As] finds.
func New(s store.Store, c Config) *Probes {
	if c.Within == 0 {
		c.Within = DefaultWithin
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Probes{config: c, store: s, watched: &watched{Store: s, reads: store.AtMost(s)}, began: time.Now()}
	p.plugin, _ = store.As[*plugin.Plugin](s)
	return p
}

// End makes the server unready from now on: it is about to stop. It stays alive.
func (p *Probes) End() { p.ending.Store(true) }

// ErrEnding is returned when the server is about to stop.
var ErrEnding = errors.New("the server is stopping")

// Ready returns nil if the server can answer requests: the store has just answered a
// read within Config.Within. Each read is for another key that no session has, so that
// in time every shard is asked. It returns ErrEnding after End, and the errors of the
// store.
func (p *Probes) Ready(ctx context.Context) error {
	if p.ending.Load() {
		return ErrEnding
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.config.Within, fmt.Errorf("the storage did not answer within %v", p.config.Within))
	defer cancel()
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	answered := make(chan error, 1)
	go func() { // a store that does not look at its context must not hold the probe
		_, err := store.AtMost(p.store).GetInto(ctx, key[:], store.At(p.config.Now()), nil, 1<<10)
		answered <- err
	}()
	var err error
	select {
	case err = <-answered:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	switch {
	case err == nil, errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrOversized):
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return context.Cause(ctx)
	}
	return err
}

// Handler answers GET and HEAD of three paths:
//
//   - /healthz is 200 as long as the process answers at all. It does not ask the store: a
//     process that is restarted because its storage is down does not bring that back.
//   - /readyz is 200 if [Probes.Ready] returns nil, else 503 with the reason.
//   - /metrics has the figures, in the text format of Prometheus.
func (p *Probes) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := p.Ready(r.Context()); err != nil {
			say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", promtext.ContentType)
		w.Header().Set("Cache-Control", "no-store")
		_ = p.WriteMetrics(w) // a reader that left needs no answer
	})
	return mux
}

func say(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

package tenant

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
)

// edition is a plugin of a tenant, from a deploy to the next one that replaces it.
type edition struct {
	plan   *plan
	module *module
	plugin *plugin.Plugin
	room   *room // on disk, nil for none

	reads, writes *gate

	// down is why there is no plugin, nil if there is one. It is a
	// [store.ErrUnavailable].
	down error
}

// openEdition runs a plan's plugin and tries it. The module is the edition's from then on,
// and the caller's if it fails.
func (h *Host) openEdition(ctx context.Context, p *plan, m *module, r *room) (*edition, *DeployError) {
	failed := func(stage Stage, err error) *DeployError {
		return &DeployError{Tenant: p.manifest.Name, Stage: stage, Err: err}
	}
	config := h.configOf(p)
	if err := p.makeDirs(); err != nil {
		return nil, failed(StageOpen, err)
	}
	if err := r.use(p, &config); err != nil {
		return nil, failed(StageOpen, err)
	}
	config.SleepAfter = h.config.SleepAfter
	opened, err := m.compiled.Open(ctx, config)
	if errors.Is(err, plugin.ErrExport) && config.SleepAfter > 0 {
		// It could not be woken with its records: it never sleeps.
		config.SleepAfter = 0
		opened, err = m.compiled.Open(ctx, config)
	}
	if err != nil {
		return nil, failed(StageOpen, err)
	}
	if err := probe(ctx, opened, h.now()); err != nil {
		closing, cancel := h.grace()
		defer cancel()
		_ = opened.Close(closing)
		return nil, failed(StageProbe, err)
	}
	return &edition{plan: p, module: m, plugin: opened, room: r, reads: newGate(), writes: newGate()}, nil
}

// retire closes an edition that has been replaced, when the last operation that began on
// it has ended, or the context ends.
func (e *edition) retire(ctx context.Context) error {
	_ = e.writes.shut(ctx)
	e.writes.redirect()
	_ = e.reads.shut(ctx)
	e.reads.redirect()
	return e.end(ctx)
}

// end closes the plugin and gives back the module.
func (e *edition) end(ctx context.Context) error {
	if e.plugin == nil {
		return nil
	}
	err := e.plugin.Close(ctx)
	e.module.release()
	return err
}

// front is a tenant's session manager, with the handlers that it makes of others.
type front struct {
	manager  *session.Manager
	handlers sync.Map // of http.Handler by *entrance
}

// handler returns the tenant's form of an entrance's handler.
func (f *front) handler(e *entrance) http.Handler {
	if made, ok := f.handlers.Load(e); ok {
		return made.(http.Handler)
	}
	made, _ := f.handlers.LoadOrStore(e, f.manager.Handler(e.next))
	return made.(http.Handler)
}

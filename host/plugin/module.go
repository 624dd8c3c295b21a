package plugin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"sync"

	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
	"github.com/waddle-sessions/waddle/host/store"
)

// Module is a guest's module that has been checked and compiled. It opens plugins at
// little cost. All of them share its code, which is released when the module and the
// last of them have been closed.
//
// A Module may be used by many goroutines at once.
type Module struct {
	host    *Host
	checked checked
	name    string // for plugins without another

	mu     sync.Mutex
	codes  map[*code]struct{} // the module holds each once
	closed bool
}

// Compile checks a module and compiles it, as [Open] does, and does not run it. Of
// the config it uses what says how: Trusted, Deadline and DebugInfo, which decide
// what the code has to look at; Limits; CacheDir and NoCache; Name and
// Logger. [Module.Open] grants what a guest needs, or refuses. Close the module when no more plugins are to be opened of it.
func (h *Host) Compile(ctx context.Context, wasm []byte, config Config) (_ *Module, err error) {
	name := cmp.Or(config.Name, "guest")
	defer h.refused(&err, name)
	if config.Host = cmp.Or(config.Host, h); config.Host != h {
		return nil, errOtherHost
	}
	if err := h.refuses(ctx); err != nil {
		return nil, err
	}
	resolved, err := config.resolve(name)
	if err != nil {
		return nil, err
	}
	// Open may compile it again later, when the caller has changed the bytes.
	b, disk, err := resolved.read(given(bytes.Clone(wasm)))
	if err != nil {
		return nil, err
	}
	m := &Module{host: h, checked: b, name: name, codes: make(map[*code]struct{})}
	code, _, err := b.load(ctx, &resolved, disk)
	if err != nil {
		return nil, err
	}
	m.hold(code)
	return m, nil
}

// Open opens a plugin of the module, of which no instance is there before it is
// needed, as with [Config.Lazy]. The config grants what this plugin may do, whatever other
// plugins of the module may. A guest may be trusted in one plugin and not in
// another: other code is compiled then, once. What [Host.Compile] has decided is not
// looked at again: Limits, CacheDir and NoCache.
func (m *Module) Open(ctx context.Context, config Config) (_ *Plugin, err error) {
	name := cmp.Or(config.Name, m.name)
	defer m.host.refused(&err, name)
	if config.Host = cmp.Or(config.Host, m.host); config.Host != m.host {
		return nil, errOtherHost
	}
	if m.isClosed() {
		return nil, store.ErrClosed
	}
	config.Lazy = true
	resolved, err := config.resolve(name)
	if err != nil {
		return nil, err
	}
	p, err := m.checked.open(ctx, resolved, nil)
	if err != nil {
		return nil, err
	}
	m.hold(m.host.acquireCode(p.code.key))
	return p, nil
}

var errOtherHost = configError("Host is not the module's: leave Host out")

// hold keeps code for later plugins, unless the module holds it already. It takes over
// the caller's reference.
func (m *Module) hold(c *code) {
	m.mu.Lock()
	_, held := m.codes[c]
	if !held && !m.closed {
		m.codes[c] = struct{}{}
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	_ = c.release() // it is not the last
}

func (m *Module) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// Outline returns the module's outline. It is shared and must not be changed.
func (m *Module) Outline() *preflight.Module { return m.checked.outline }

// Close ends the opening of plugins. Open ones go on, and the code is released with the
// last of them.
func (m *Module) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	var errs []error
	for c := range m.codes {
		errs = append(errs, c.release())
	}
	m.codes = nil
	return errors.Join(errs...)
}

// checked is a module that was checked.
type checked struct {
	module  Embedded
	outline *preflight.Module
	limits  Limits
	dir     string // where its code is kept, "" for memory only

	permissions permissions // that it was checked against
}

// read checks a module. What was checked before, of code that the host has or that is in a
// directory, is not checked again, and the module's bytes are not looked at. It returns the
// directory if it was opened.
func (s *resolved) read(module Embedded) (b checked, disk *codeDir, err error) {
	b = checked{module: module, limits: s.Limits, permissions: s.permissions, dir: s.codeDir()}
	if len(module.whole) <= int(s.Limits.Module) { // or it is refused, and not worth a sum
		if !module.tried() {
			b.module.Sum = sha256.Sum256(module.whole)
		}
		b.outline, disk = s.find(&b)
	}
	if b.outline != nil {
		if why := checkOutline(b.outline, s.permissions); len(why) > 0 {
			return checked{}, nil, why[0]
		}
		return b, disk, nil
	}
	wasm, err := module.bytes()
	if err != nil {
		return checked{}, nil, err
	}
	if b.outline, err = validate(wasm, s.Limits.preflight(), s.permissions); err != nil {
		return checked{}, nil, err
	}
	return b, disk, nil
}

// find returns the outline of a module that was checked before, or nil. It returns the
// directory of the code if it was opened.
func (s *resolved) find(b *checked) (*preflight.Module, *codeDir) {
	if s.DebugInfo { // which reads the module
		return nil, nil
	}
	key, limits := b.key(s), s.Limits.preflight()
	if outline := s.Host.outline(key); outline != nil {
		if !outline.Within(limits) {
			outline = nil
		}
		return outline, nil
	}
	if b.dir == "" {
		return nil, nil
	}
	disk := findCodeDir(key)
	if disk == nil {
		return nil, nil
	}
	if disk.kept == nil || !disk.kept.Outline.Within(limits) {
		return nil, disk
	}
	return disk.kept.Outline, disk
}

// key is the key of the code that a config needs.
func (b *checked) key(s *resolved) codeKey {
	return codeKey{module: b.module.Sum, dir: b.dir, rewrite: s.rewriting(), debug: s.DebugInfo, runtime: s.Host.runtime()}
}

// codeDir returns the directory that keeps code, "" for none.
func (s *resolved) codeDir() string {
	if s.Host.runtime() == runtimeInterpreter {
		return "" // it keeps nothing in files
	}
	return prepareCacheDir(s)
}

// load returns the code that the config needs, with a reference to it. It clears
// DebugInfo if that is of no use. The directory of the code is nil if it was not opened.
func (b *checked) load(ctx context.Context, s *resolved, disk *codeDir) (*code, loading, error) {
	if s.DebugInfo {
		wasm, err := b.module.bytes()
		if err != nil {
			return nil, loading{}, err
		}
		if err := checkDebugInfo(b.outline, wasm); err != nil {
			s.DebugInfo = false
			s.Logger.Warn("the debug sections are not used", "plugin", s.name, "error", err)
		}
	}
	c := s.Host.acquireCode(b.key(s))
	how, err := c.load(ctx, b, disk, func(message string, err error) {
		s.Logger.Warn(message, "plugin", s.name, "error", err)
	})
	if err == nil {
		return c, how, nil
	}
	_ = c.release()
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil, how, err
	case errors.Is(err, ErrBudget), errors.Is(err, preflight.ErrTooBig):
		return nil, how, loadError(ErrLimits, err, "%v", err)
	}
	return nil, how, loadError(ErrModule, err, "it does not compile: %s", printable.Clean(string(printable.Cut([]byte(err.Error()), maxFault))))
}

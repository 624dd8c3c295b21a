package tenant

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// modules are the compiled modules of a host. Equal bytes are compiled once, however many
// tenants have them, and released with the last of them.
type modules struct {
	host *plugin.Host

	mu  sync.Mutex
	all map[moduleKey]*module
}

// moduleKey is what decides how a module is compiled.
type moduleKey struct {
	sum     [sha256.Size]byte
	trusted bool
	limits  plugin.Limits
}

// module is a module that is compiled or being compiled.
type module struct {
	key   moduleKey
	owner *modules
	ready chan struct{} // closed when what follows is set

	compiled *plugin.Module
	err      error

	users int // under modules.mu
	stop  context.CancelFunc
}

func newModules(host *plugin.Host) *modules {
	return &modules{host: host, all: make(map[moduleKey]*module)}
}

// acquire returns the module of a plan, compiled, and takes the bytes away from the plan:
// thousands of tenants would each keep megabytes. The caller releases the module.
func (ms *modules) acquire(ctx context.Context, p *plan, config plugin.Config) (*module, error) {
	key := moduleKey{sum: p.sum, trusted: config.Trusted, limits: config.Limits}
	ms.mu.Lock()
	m := ms.all[key]
	if m == nil {
		// Compiling serves all who wait for it, so it ends with none of them but the last.
		background, stop := context.WithCancel(context.Background())
		m = &module{key: key, owner: ms, ready: make(chan struct{}), stop: stop}
		ms.all[key] = m
		go m.compile(background, p.wasm, config)
	}
	m.users++
	ms.mu.Unlock()
	p.wasm = nil
	select {
	case <-m.ready:
	case <-ctx.Done():
		m.release()
		return nil, ctx.Err()
	}
	if m.err != nil {
		m.release()
		return nil, m.err
	}
	return m, nil
}

func (m *module) compile(ctx context.Context, wasm []byte, config plugin.Config) {
	defer close(m.ready)
	m.compiled, m.err = m.owner.host.Compile(ctx, wasm, config)
}

// release gives a module back. The last one's release ends it.
func (m *module) release() {
	m.owner.mu.Lock()
	m.users--
	last := m.users == 0
	if last {
		delete(m.owner.all, m.key)
	}
	m.owner.mu.Unlock()
	if !last {
		return
	}
	m.stop()
	select {
	case <-m.ready:
		m.end()
	default: // it is still being compiled, which nobody waits for any more
		go func() {
			<-m.ready
			m.end()
		}()
	}
}

func (m *module) end() {
	if m.compiled != nil {
		_ = m.compiled.Close()
	}
}

// count returns how many modules there are, those included that are being compiled.
func (ms *modules) count() int {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return len(ms.all)
}

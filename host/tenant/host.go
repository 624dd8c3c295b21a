package tenant

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// HostConfig says how a [Host] runs its tenants. The zero value is ready to use.
type HostConfig struct {
	// Plugins holds what the tenants' plugins share: code, and budgets of memory and
	// mappings. Nil makes one for this host, which is closed with it.
	Plugins *plugin.Host

	// Dir is where relative paths of manifests start. State of tenants that keep it
	// lies in its directory "state". Empty means that paths must be absolute and no
	// tenant can keep state.
	Dir string

	// TrustedKeys, if there are any, must have signed each plugin that is not bundled:
	// one of them is enough.
	TrustedKeys []ed25519.PublicKey

	// Keyring returns the keyring to which a tenant's manifest refers. Nil takes the
	// reference for a file beneath Dir, which only its owner may read.
	Keyring func(ctx context.Context, tenant, ref string) (*session.Keyring, error)

	// MountRoots are directories outside Dir of which manifests may mount those beneath,
	// by absolute paths. There are none by default.
	MountRoots []string

	// Network says which of the connections that manifests list are granted. None are by
	// default.
	Network Network

	// Limits are the most that a tenant may have: the lower of these and its
	// manifest's counts. Zero fields have defaults.
	Limits Limits

	// SleepAfter is how long a tenant may be idle before its plugin is put to sleep,
	// as in [plugin.Config]. 0 means a minute, less than 0 never. A guest that could not
	// be woken with its records never sleeps.
	SleepAfter time.Duration

	// Compiling is how many modules are compiled at a time, in the background, by a
	// plugins' host that this one makes. See [plugin.HostConfig].
	Compiling int

	// MaxTenants bounds the number of tenants; one more is [ErrTooMany]. 0 means as
	// many as may be awake at a time with the memory mappings that the plugins' host
	// has, which the system bounds; less than 0 means no bound.
	MaxTenants int

	// Grace is how long a removal, a replacement and Close wait for requests that have
	// begun. 0 means ten seconds.
	Grace time.Duration

	// Manager makes the session manager of a tenant, over its store and with the
	// settings of its manifest. Programs use it to set what no manifest can: the codec,
	// what becomes of events, how errors are answered. Nil is [session.New].
	Manager func(tenant string, s store.Store, settings session.Settings) (*session.Manager, error)

	// Unknown answers requests that are no tenant's. Nil answers 404.
	Unknown http.Handler

	// Events is told what happens to tenants, on the goroutine on which it happens, so
	// it must be quick and must not deploy or remove. Nil logs each event to Logger.
	Events func(Event)

	// Logger is for events, plugins and their guests. Nil means [slog.Default].
	Logger *slog.Logger

	// Tests set these.
	clock func() time.Time
	tune  func(*plugin.Config)
}

const (
	defaultSleepAfter = time.Minute
	defaultGrace      = 10 * time.Second

	// mappingsOfTenant is how many memory mappings a tenant that is awake has.
	mappingsOfTenant = 2
)

// Host runs tenants: it deploys them from manifests, replaces and removes them while
// requests are served, and finds the tenant of a request.
//
// A Host may be used by many goroutines at once. Deploys and removals of one name follow
// one another; those of different names run side by side.
type Host struct {
	config  HostConfig
	plugins *plugin.Host
	own     bool // the plugins' host is this one's
	modules *modules
	most    int // tenants, less than 0 for no bound

	byName sync.Map // *Tenant by name
	byHost sync.Map // *Tenant by host name

	ctx     context.Context // until Close
	cancel  context.CancelFunc
	closing atomic.Bool
	work    sync.WaitGroup // that Close waits for
	turns   turns

	mu      sync.Mutex          // guards what follows, and that work is not added to after closing
	claims  map[string]string   // the tenant of each host name
	names   map[string][]string // the host names of each tenant, and of each whose first deploy runs
	pending map[string]*pending
	failed  map[string]Failure
	ended   chan struct{} // closed when Close is done
}

// NewHost makes a host without tenants. Close it when it is no longer needed.
func NewHost(config HostConfig) (*Host, error) {
	if err := config.Limits.checkHost(); err != nil {
		return nil, err
	}
	if err := config.Network.check(); err != nil {
		return nil, fmt.Errorf("tenant: HostConfig.Network: %w", err)
	}
	h := &Host{plugins: config.Plugins, claims: make(map[string]string), names: make(map[string][]string),
		pending: make(map[string]*pending), failed: make(map[string]Failure), ended: make(chan struct{})}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Manager == nil {
		config.Manager = func(_ string, s store.Store, settings session.Settings) (*session.Manager, error) {
			return session.New(s, settings)
		}
	}
	if config.Unknown == nil {
		config.Unknown = http.NotFoundHandler()
	}
	if config.Events == nil {
		config.Events = logEvents(config.Logger)
	}
	if config.clock == nil {
		config.clock = time.Now
	}
	config.SleepAfter = max(cmp.Or(config.SleepAfter, defaultSleepAfter), 0)
	config.Grace = cmp.Or(config.Grace, defaultGrace)
	if h.plugins == nil {
		h.plugins, h.own = plugin.NewHost(plugin.HostConfig{Compiling: config.Compiling}), true
	}
	if h.most = config.MaxTenants; h.most == 0 {
		h.most = -1
		if mappings := h.plugins.Stats().Mappings.Limit; mappings >= 0 {
			h.most = int(mappings / mappingsOfTenant)
		}
	}
	h.config = config
	h.modules = newModules(h.plugins)
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.begin(h.watch)
	return h, nil
}

// Tenant returns the tenant of a name.
func (h *Host) Tenant(name string) (*Tenant, bool) {
	t, ok := h.byName.Load(name)
	if !ok {
		return nil, false
	}
	return t.(*Tenant), true
}

// ByHost returns the tenant of a host name, as [Host.FindByHost] does.
func (h *Host) ByHost(host string) (*Tenant, bool) {
	t, ok := h.byHost.Load(hostName(host))
	if !ok {
		return nil, false
	}
	return t.(*Tenant), true
}

// Tenants returns all tenants, by name.
func (h *Host) Tenants() []*Tenant {
	var all []*Tenant
	h.byName.Range(func(_, t any) bool {
		all = append(all, t.(*Tenant))
		return true
	})
	slices.SortFunc(all, func(a, b *Tenant) int { return strings.Compare(a.name, b.name) })
	return all
}

// Close removes all tenants, side by side, and keeps what they have on disk. It waits for
// requests and operations that have begun, for as long as Grace and the context allow.
// Deploys that run are given up. Later deploys get [ErrClosed], and requests 503.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	first := !h.closing.Swap(true)
	h.mu.Unlock()
	if !first {
		select {
		case <-h.ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer close(h.ended)
	h.cancel()
	h.work.Wait()
	tenants := h.Tenants()
	errs := make([]error, len(tenants))
	bounded, cancel := context.WithTimeout(ctx, h.config.Grace)
	defer cancel()
	var wait sync.WaitGroup
	turns := make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	for i, t := range tenants {
		h.unpublish(t)
		wait.Go(func() {
			_ = t.requests.shut(bounded)
			turns <- struct{}{}
			defer func() { <-turns }()
			errs[i] = t.end(bounded)
		})
	}
	wait.Wait()
	if h.own {
		errs = append(errs, h.plugins.Close(ctx))
	}
	return errors.Join(errs...)
}

// begin runs f beside everything else, if the host is not closed. Close waits for it.
func (h *Host) begin(f func()) {
	if h.enter() == nil {
		go func() {
			defer h.work.Done()
			f()
		}()
	}
}

// enter begins work that Close waits for. The caller calls work.Done.
func (h *Host) enter() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing.Load() {
		return ErrClosed
	}
	h.work.Add(1)
	return nil
}

// grace returns a context that lasts for Grace.
func (h *Host) grace() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), h.config.Grace)
}

func (h *Host) now() store.Millis { return store.At(h.config.clock()) }

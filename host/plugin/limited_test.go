package plugin_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// Actions of the guest of limits.wat, by the time that it is told.
const (
	passMemory store.Millis = iota + 1
	passResult
	passContractResult
	passLogLines
	passLogBytes
	passFiles
	passBytes
	passOpenFiles
)

// limited is a guest that tries to pass one limit.
type limited struct {
	name   string // if the limit has several rows
	limit  plugin.Limit
	guest  string // "limits" unless it is set
	wasm   func(t testing.TB) []byte
	host   plugin.HostConfig
	config func(t *testing.T, c *plugin.Config)
	pass   func(p *plugin.Plugin) error // the operation that tries it

	is            []error
	code          bool // the guest lives on
	allowed, used int64
	count         uint64 // 1 unless it is set
	status        int    // of the answer to a request, 503 unless it is set
	reads         bool   // the request is one that reads its session
	lasts         bool   // later operations are refused, too
}

func gets(act store.Millis) func(p *plugin.Plugin) error {
	return func(p *plugin.Plugin) error { _, err := p.Get(ctx, key, act); return err }
}

// busy is a guest that is within a save, which lasts, while others wait for it and one more
// comes.
func busy(limit plugin.Limit, change func(c *plugin.Config), others int, allowed int64) limited {
	var lasts atomic.Bool // the next save
	within, ends := make(chan struct{}), make(chan struct{})
	save := func() {
		if lasts.Swap(false) {
			within <- struct{}{}
			<-ends
		}
	}
	return limited{limit: limit, wasm: extraGuest, is: []error{store.ErrUnavailable, plugin.ErrBusy}, code: true, allowed: allowed, lasts: true,
		config: func(_ *testing.T, c *plugin.Config) {
			c.MemoryLimit = 128 << 20
			change(c)
			(&plugin.ExtraGrant{Does: save}).Add(c, extraFunction, true)
		},
		pass: func(p *plugin.Plugin) error {
			_, _ = p.Get(ctx, key, 1) // for an instance to save
			var wait sync.WaitGroup
			lasts.Store(true)
			wait.Go(func() { _ = p.Save(ctx, 1) })
			<-within
			for range others {
				wait.Go(func() { _, _ = p.Get(ctx, key, 1) })
			}
			for p.Stats().Queue.Waiting < others {
				time.Sleep(time.Millisecond)
			}
			_, err := p.Get(ctx, key, 1)
			ends <- struct{}{}
			wait.Wait()
			return err
		},
	}
}

func withMount(change func(m *plugin.Mount)) func(t *testing.T, c *plugin.Config) {
	return func(t *testing.T, c *plugin.Config) {
		m := plugin.Mount{Dir: t.TempDir()}
		change(&m)
		c.Mounts = []plugin.Mount{m}
	}
}

// limitedDials makes one connection more than it may. The guest learns of it, and answers what
// it likes.
func limitedDials(name string, change func(c *plugin.Config), host plugin.HostConfig) limited {
	return limitedNetwork(name, plugin.LimitConnections, change, host, func(g netCalls, address string) error {
		for range 100 { // those that were begun may be again after a while
			switch n := g.dial(address); {
			case n == negated(abi.ErrnoTooMany):
				return nil
			case n < 0:
				return fmt.Errorf("dial returned %d", n)
			}
		}
		return errors.New("a hundred connections were begun")
	})
}

func limitedWait() limited {
	change := func(c *plugin.Config) { c.Network.Wait = 20 * time.Millisecond }
	return limitedNetwork("", plugin.LimitNetworkWait, change, plugin.HostConfig{}, func(g netCalls, address string) error {
		if n := g.call("conn_read", g.connect(address), netData, 1, waitLong); n != negated(abi.ErrnoTimedOut) {
			return fmt.Errorf("conn_read returned %d", n)
		}
		return nil
	})
}

// limitedNetwork is a guest that passes a limit of its network, and lives on.
func limitedNetwork(name string, limit plugin.Limit, change func(c *plugin.Config), host plugin.HostConfig, pass func(g netCalls, address string) error) limited {
	var address string
	var t *testing.T
	return limited{name: name, limit: limit, guest: "netcalls", host: host, code: true, status: http.StatusOK,
		config: func(this *testing.T, c *plugin.Config) {
			t = this
			address, _, _ = silent(t)
			c.Network = plugin.Network{Allow: []string{address}, Private: loopback}
			c.MemoryLimit = 128 << 20
			change(c)
		},
		pass: func(p *plugin.Plugin) error { return pass(netCalls{t, p}, address) },
	}
}

const waits = 6 * time.Second

// limitedGuests has a row for each limit that an operation can exceed.
func limitedGuests() []limited {
	unavailable := func(kind error) []error { return []error{store.ErrUnavailable, kind} }
	return []limited{
		{limit: plugin.LimitFuel, guest: "hostile", pass: gets(actLoop), is: unavailable(plugin.ErrFuel), allowed: 1 << 20,
			config: func(_ *testing.T, c *plugin.Config) { c.Fuel = 1 << 20 }},
		{limit: plugin.LimitDeadline, guest: "hostile", is: unavailable(plugin.ErrDeadline), allowed: int64(shortDeadline),
			pass: func(p *plugin.Plugin) error { return hurried(p, func() error { return gets(actLoop)(p) }) }},
		{limit: plugin.LimitDepth, guest: "hostile", pass: gets(actRecurse), is: unavailable(plugin.ErrDepth), allowed: 16 << 20},
		{limit: plugin.LimitRate, pass: untilError, is: unavailable(plugin.ErrRate), allowed: 1, code: true, lasts: true,
			config: func(_ *testing.T, c *plugin.Config) { c.FuelRate, c.FuelBurst = 1, 1 }},
		// Others hold the plugin's only instance, and wait for it.
		busy(plugin.LimitQueue, func(c *plugin.Config) { c.MaxQueue = 2 }, 2, 2),
		busy(plugin.LimitQueueWait, func(c *plugin.Config) { c.QueueWait = time.Millisecond }, 0, int64(time.Millisecond)),
		{limit: plugin.LimitHostTime, wasm: extraGuest, is: unavailable(plugin.ErrDeadline), allowed: int64(plugin.DefaultDeadline), lasts: true,
			pass: func(p *plugin.Plugin) error {
				_, _ = p.Get(ctx, key, 1) // for an instance to save
				return p.Save(ctx, 0)
			},
			config: func(_ *testing.T, c *plugin.Config) {
				c.Deadline, c.MemoryLimit = 0, 128<<20
				(&plugin.ExtraGrant{Waits: waits}).Add(c, extraFunction, true)
			}},
		{limit: plugin.LimitMemory, pass: gets(passMemory), is: unavailable(plugin.ErrTrap), allowed: 4 << 20, used: 4<<20 + 1<<16,
			config: func(_ *testing.T, c *plugin.Config) { c.MemoryLimit = 4 << 20 }},
		{limit: plugin.LimitKey, pass: func(p *plugin.Plugin) error { _, err := p.Get(ctx, make([]byte, 65), 0); return err },
			is: []error{store.ErrTooLarge}, code: true, allowed: 64, used: 65, status: http.StatusInsufficientStorage,
			config: func(_ *testing.T, c *plugin.Config) { c.MaxKey = 64 }},
		{limit: plugin.LimitValue, pass: func(p *plugin.Plugin) error { return p.Set(ctx, store.Write{Key: key, Value: make([]byte, 4097)}) },
			is: []error{store.ErrTooLarge}, code: true, allowed: 4096, used: 4097, status: http.StatusInsufficientStorage,
			config: func(_ *testing.T, c *plugin.Config) { c.MaxValue = 4096 }},
		{limit: plugin.LimitResult, pass: gets(passResult), is: []error{store.ErrOversized}, code: true, allowed: 4096, used: 8192,
			reads: true, status: http.StatusOK, // the session is a fresh one
			config: func(_ *testing.T, c *plugin.Config) { c.MaxValue = 4096 }},
		{name: "of the contract", limit: plugin.LimitResult, pass: gets(passContractResult), reads: true, is: unavailable(plugin.ErrProtocol),
			allowed: 16 << 20, used: 16<<20 + 1},
		{limit: plugin.LimitEnumeration, guest: "hostile", code: true, is: unavailable(plugin.ErrEndless),
			pass: func(p *plugin.Plugin) error { return last(p.Keys(ctx, actCursorEndless)) }},
		{limit: plugin.LimitLog, pass: gets(passLogLines), code: true, count: 1000 - 4*plugin.DefaultLogLines, status: http.StatusOK},
		{name: "bytes", limit: plugin.LimitLog, pass: gets(passLogBytes), code: true, status: http.StatusOK,
			count:  100 - 4*8192/4095 - 1, // the line that begins within the limit is written to its end
			config: func(_ *testing.T, c *plugin.Config) { c.LogBytes = 8192 }},
		{limit: plugin.LimitFiles, pass: gets(passFiles), is: []error{store.ErrNoSpace}, code: true,
			config: withMount(func(m *plugin.Mount) { m.MaxFiles = 5 })},
		{limit: plugin.LimitBytes, pass: gets(passBytes), is: []error{store.ErrNoSpace}, code: true,
			config: withMount(func(m *plugin.Mount) { m.MaxBytes = 1 << 20 })},
		{limit: plugin.LimitOpenFiles, pass: gets(passOpenFiles), is: []error{store.ErrNoSpace}, code: true,
			config: withMount(func(m *plugin.Mount) { m.MaxOpen = 5 })},
		limitedDials("", func(c *plugin.Config) { c.Network.MaxConns = 2 }, plugin.HostConfig{}),
		limitedDials("in a second", func(c *plugin.Config) { c.Network.MaxDials = 2 }, plugin.HostConfig{}),
		limitedDials("of the host", func(*plugin.Config) {}, plugin.HostConfig{MaxConns: 2}),
		limitedWait(),

		{limit: plugin.LimitHostMemory, pass: gets(0), is: unavailable(plugin.ErrBudget), host: plugin.HostConfig{Memory: 25 << 16}, lasts: true,
			allowed: 25 << 16, used: 26 << 16},
		{name: "of a guest that grows", limit: plugin.LimitHostMemory, pass: gets(passMemory), is: unavailable(plugin.ErrTrap),
			host: plugin.HostConfig{Memory: 40 << 16}, allowed: 40 << 16, used: 41 << 16},
		{limit: plugin.LimitAddressSpace, pass: gets(0), is: unavailable(plugin.ErrBudget), host: plugin.HostConfig{AddressSpace: 48 << 20}, lasts: true,
			allowed: 48 << 20, used: 64 << 20},
		{limit: plugin.LimitMappings, pass: gets(0), is: unavailable(plugin.ErrBudget), host: plugin.HostConfig{Mappings: 7}, lasts: true,
			allowed: 7, used: 8},
		{limit: plugin.LimitHandles, pass: gets(passOpenFiles), is: []error{store.ErrNoSpace}, code: true, host: plugin.HostConfig{Handles: 6},
			config: withMount(func(*plugin.Mount) {})},
	}
}

func untilError(p *plugin.Plugin) (err error) {
	for range 1 << 20 {
		if err = gets(0)(p); err != nil {
			return err
		}
	}
	return nil
}

// Each limit makes one operation fail, with an error that says which limit it was. The plugin
// and its host count it, and count nothing else. The plugin's next operation and another
// plugin of the host work, and a server answers the request with the right status.
func TestLimitsOfOperations(t *testing.T) {
	for _, shared := range []bool{false, true} {
		for _, c := range limitedGuests() {
			name := strings.TrimSpace(string(c.limit) + " " + c.name)
			if shared {
				name += " on a shared executor"
			}
			t.Run(name, func(t *testing.T) { c.try(t, shared) })
		}
	}
}

func (c limited) try(t *testing.T, shared bool) {
	h := hosted(t, c.host)
	neighbour := serving(t, h)
	clock := newClock()
	config := untrusted()
	config.Host, config.Lazy, config.MemoryLimit, config.Now, config.Shared = h, true, 32<<20, clock.Now, shared
	if c.config != nil {
		c.config(t, &config)
	}
	p := open(t, c.module(t), config)
	server := serve(t, func() error { return c.pass(p) }, c.reads)

	neighbour.works()
	err := c.pass(p)
	for _, want := range c.is {
		require.ErrorIs(t, err, want)
	}
	require.Equal(t, len(c.is) == 0, err == nil, err)
	if errors.Is(err, store.ErrOversized) {
		require.NotErrorIs(t, err, store.ErrUnavailable, "trying again does not help")
	}
	if err != nil {
		require.NoError(t, readable(err))
		var e *plugin.Error
		require.ErrorAs(t, err, &e)
		if e.Code == 0 || e.Limit != "" { // the guest does not say why it has no space
			require.Equal(t, c.limit, e.Limit)
			require.Equal(t, c.allowed, e.Allowed)
			require.True(t, e.Used > e.Allowed || c.lasts || c.allowed == 0, "%d of %d", e.Used, e.Allowed)
			switch {
			case c.used == 0:
			case shared && c.limit == plugin.LimitHostMemory:
				// Its image, and what made room for it, count to the byte.
				require.Greater(t, e.Used, c.allowed)
				require.LessOrEqual(t, e.Used, c.used)
			default:
				require.Equal(t, c.used, e.Used)
			}
		}
	}
	want := map[plugin.Limit]uint64{c.limit: max(c.count, 1)}
	require.Equal(t, want, p.Stats().Limits)
	require.Equal(t, want, h.Stats().Limits)
	neighbour.works()

	if !c.lasts {
		if !c.code {
			clock.advance(time.Minute)
		}
		require.NoError(t, gets(0)(p), "the next operation works")
	}
	clock.advance(time.Hour)
	require.Equal(t, http.StatusOK, server.request(t), "a session begins")
	server.limited = true
	require.Equal(t, cmp.Or(c.status, http.StatusServiceUnavailable), server.request(t))
	require.NotEqual(t, want, p.Stats().Limits, "the request has exceeded it, too")
	neighbour.works()
	_ = p.Close(ctx)
}

func (c *limited) module(t testing.TB) []byte {
	switch {
	case c.wasm != nil:
		return c.wasm(t)
	case c.guest != "":
		return guest(t, c.guest)
	}
	return guest(t, "limits")
}

// server serves sessions. While it is limited, what it stores or reads begins with an
// operation that fails.
type server struct {
	store.Store
	limited, reads bool
	pass           func() error
	url            string
	client         http.Client
}

func (s *server) Set(ctx context.Context, w store.Write) error {
	if s.limited && !s.reads {
		if err := s.pass(); err != nil {
			return err
		}
	}
	return s.Store.Set(ctx, w)
}

func (s *server) Get(ctx context.Context, key []byte, now store.Millis) ([]byte, error) {
	if s.limited && s.reads {
		if err := s.pass(); err != nil {
			return nil, err
		}
	}
	return s.Store.Get(ctx, key, now)
}

func serve(t *testing.T, pass func() error, reads bool) *server {
	s := &server{Store: store.NewMemory(), reads: reads, pass: pass}
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	s.client.Jar = jar
	m, err := session.New(s, session.Settings{})
	require.NoError(t, err)
	at := httptest.NewServer(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		_, err := session.Increment(s, session.NewKey[int]("visits"), 1)
		s.Check(err)
		fmt.Fprint(w, "welcome")
	})))
	t.Cleanup(at.Close)
	s.url = at.URL
	return s
}

func (s *server) request(t *testing.T) int {
	got, err := s.client.Get(s.url)
	require.NoError(t, err)
	require.NoError(t, got.Body.Close())
	return got.StatusCode
}

// busyPlugin is another plugin of a host, which serves all the while.
type busyPlugin struct {
	t      *testing.T
	served atomic.Int64
	failed atomic.Pointer[error]
}

func serving(t *testing.T, h *plugin.Host) *busyPlugin {
	config := untrusted()
	config.Host, config.MemoryLimit = h, 32<<20
	p := open(t, guest(t, "tiny"), config)
	b := &busyPlugin{t: t}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			default:
			}
			err := p.Set(ctx, store.Write{Key: key, Value: value(1, "mine"), Now: 1})
			if err == nil {
				_, err = p.Get(ctx, key, 1)
			}
			if err != nil {
				b.failed.Store(&err)
			}
			b.served.Add(1)
			time.Sleep(100 * time.Microsecond)
		}
	}()
	t.Cleanup(func() {
		close(end)
		<-ended
		require.Empty(t, p.Stats().Limits)
		require.NoError(t, p.Close(ctx))
	})
	return b
}

// works waits until the plugin has served some more.
func (b *busyPlugin) works() {
	b.t.Helper()
	from := b.served.Load()
	require.Eventually(b.t, func() bool { return b.served.Load() > from+2 }, time.Minute, time.Millisecond)
	if err := b.failed.Load(); err != nil {
		require.NoError(b.t, *err)
	}
}

// A growth that was refused explains a trap in the same call, and none in a later one.
func TestAnEarlierGrowthExplainsNoTrap(t *testing.T) {
	config := untrusted()
	config.MemoryLimit = 1 << 20
	p := open(t, guest(t, "shares"), config)
	require.NoError(t, gets(shareGrowAll)(p))
	err := gets(shareTrap)(p)
	require.ErrorIs(t, err, plugin.ErrTrap)
	var e *plugin.Error
	require.ErrorAs(t, err, &e)
	require.Empty(t, e.Limit)
	require.NotContains(t, err.Error(), "grow")
	require.Equal(t, map[plugin.Limit]uint64{plugin.LimitMemory: 1}, p.Stats().Limits)
}

// limitedModules has a row for each limit of a module.
var limitedModules = []struct {
	limit  plugin.Limit
	change func(c *plugin.Config)
}{
	{plugin.LimitModule, func(c *plugin.Config) { c.Limits.Module = 1000 }},
	{plugin.LimitCompile, func(c *plugin.Config) { c.Limits.CompileCost = 1000 }},
	{plugin.LimitCompile, func(c *plugin.Config) { c.Limits.CompileMemory = 1000 }},
	{plugin.LimitMemory, func(c *plugin.Config) { c.MemoryLimit = 1 << 16 }},
}

// A module that exceeds a limit is refused by an error that says which, and its host counts
// that. Nothing of it stays, and others are served all the while.
func TestLimitsOfModules(t *testing.T) {
	for _, c := range limitedModules {
		t.Run(string(c.limit), func(t *testing.T) {
			h := hosted(t, plugin.HostConfig{})
			neighbour := serving(t, h)
			before := h.Stats()
			config := untrusted()
			config.Host = h
			c.change(&config)
			_, err := plugin.Open(ctx, guest(t, "hostile"), config)
			require.ErrorIs(t, err, plugin.ErrLimits)
			var refused *plugin.LoadError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, c.limit, refused.Limit)
			after := h.Stats()
			require.Equal(t, map[plugin.Limit]uint64{c.limit: 1}, after.Limits)
			require.Equal(t, before.Modules, after.Modules)
			require.Equal(t, before.Plugins, after.Plugins)
			require.Equal(t, before.Memory, after.Memory)
			neighbour.works()
		})
	}
}

// A host compiles as many modules at once as it may. A caller who waits for a place leaves when
// its context ends. A quick module does not wait for slow ones, and what is compiled already
// waits for nobody.
func TestLimitOfCompiling(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	h := hosted(t, plugin.HostConfig{Compiling: 2})
	neighbour := serving(t, h)
	const slow, quick = 1 << 40, 1
	var leave []func()
	take := func(cost int64) error {
		soon, cancel := withTimeout(20 * time.Millisecond)
		defer cancel()
		l, err := h.CompileSomething(soon, cost)
		if err == nil {
			leave = append(leave, l)
		}
		return err
	}
	require.NoError(t, take(slow))
	require.NoError(t, take(50_000_001))
	require.ErrorIs(t, take(slow), context.DeadlineExceeded)
	config := untrusted()
	config.Host = h
	require.NoError(t, open(t, guest(t, "limits"), config).Close(ctx), "a quick one has a place")
	require.NoError(t, take(quick))

	soon, cancel := withTimeout(20 * time.Millisecond)
	defer cancel()
	_, err := plugin.Open(soon, guest(t, "limits"), config)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "HostConfig.Compiling allows 2 at once")
	require.Equal(t, map[plugin.Limit]uint64{plugin.LimitCompiling: 1}, h.Stats().Limits)
	require.Equal(t, plugin.Usage{Used: 3, Limit: 2}, h.Stats().Compiling)
	neighbour.works()
	require.NoError(t, open(t, guest(t, "tiny"), config).Close(ctx), "the neighbour's code is there already")

	opened := make(chan error)
	go func() {
		p, err := plugin.Open(ctx, guest(t, "limits"), config)
		if err == nil {
			err = p.Close(ctx)
		}
		opened <- err
	}()
	require.Eventually(t, func() bool { return h.Stats().Compiling.Used == 4 }, time.Minute, time.Millisecond)
	leave[2]()
	require.NoError(t, <-opened, "the next one gets the place")
	leave[0]()
	leave[1]()
	require.Zero(t, h.Stats().Compiling.Used)

	// On two cores those who serve would have none for as long as a module of two seconds takes.
	runtime.GOMAXPROCS(2)
	two := hosted(t, plugin.HostConfig{})
	end, err := two.CompileSomething(ctx, slow)
	require.NoError(t, err)
	soon, cancel = withTimeout(20 * time.Millisecond)
	defer cancel()
	_, err = two.CompileSomething(soon, 50_000_000)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ends, err := two.CompileSomething(ctx, quick)
	require.NoError(t, err)
	ends()
	end()

	unbounded := hosted(t, plugin.HostConfig{Compiling: -1})
	for range 10 {
		l, err := unbounded.CompileSomething(ctx, slow)
		require.NoError(t, err)
		defer l()
	}
}

// Every limit is tried by one of the tests above, and README.md has a row for each, with the
// setting and the default.
func TestEveryLimitIsTried(t *testing.T) {
	tried := map[plugin.Limit]bool{plugin.LimitCompiling: true}
	for _, c := range limitedGuests() {
		tried[c.limit] = true
	}
	for _, c := range limitedModules {
		tried[c.limit] = true
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, l := range plugin.AllLimits() {
		require.True(t, tried[l], "%s has no row", l)
		require.Regexp(t, regexp.MustCompile("(?m)^\\| `"+string(l)+"` \\|[^|]+\\|[^|]+\\|[^|]+\\|"), string(readme))
	}
}

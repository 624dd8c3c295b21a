package pluginotel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	waddleotel "github.com/waddle-sessions/waddle/host/otel"
	"github.com/waddle-sessions/waddle/host/otel/pluginotel"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// inStates is a plugin with shards in these states.
type inStates struct {
	pluginotel.Source
	states []plugin.State
}

func (s *inStates) Stats() (stats plugin.Stats) {
	for _, state := range s.states {
		stats.Shards = append(stats.Shards, plugin.ShardStats{State: state})
	}
	return stats
}

// Each shard counts in one state, whichever it is in: their sum is the number of shards.
func TestStates(t *testing.T) {
	source := &inStates{Source: open(t, "acme", new(sessiontest.Clock))}
	reader := sdk.NewManualReader()
	_, err := pluginotel.Observe(source, waddleotel.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
	require.NoError(t, err)
	all := []plugin.State{plugin.StateRunning, plugin.StateResting, plugin.StateBackoff, plugin.StateClosed}
	for i, state := range all {
		for range i + 1 {
			source.states = append(source.states, state)
		}
	}
	figures, _ := collect(t, reader)
	for i, state := range all {
		require.EqualValues(t, i+1, figures["shards name=acme shard.state="+string(state)], state)
	}
}

// open runs a guest whose behaviour depends on the time of an operation.
func open(t *testing.T, name string, clock *sessiontest.Clock) *plugin.Plugin {
	t.Helper()
	p, err := plugin.OpenFile(context.Background(), "../../plugin/testdata/hostile.wasm", plugin.Config{
		Name: name, Shards: 2, MemoryLimit: 8 << 20, NoCache: true, SweepInterval: -1,
		Logger: slog.New(slog.DiscardHandler), Now: clock.Now,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

const (
	works    = 0
	traps    = 1
	recurs   = 3
	notFound = 1001
	invalid  = 1002
	conflict = 1006
)

// collect returns all figures, by their names and attributes, and the units by
// name.
func collect(t *testing.T, reader sdk.Reader) (figures map[string]int64, units map[string]string) {
	t.Helper()
	var collected metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &collected))
	figures, units = map[string]int64{}, map[string]string{}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			require.True(t, ok, m.Name)
			units[m.Name] = fmt.Sprint(m.Unit, " ", sum.IsMonotonic)
			for _, p := range sum.DataPoints {
				words := []string{strings.TrimPrefix(m.Name, "waddle.plugin.")}
				for _, a := range p.Attributes.ToSlice() {
					words = append(words, strings.TrimPrefix(string(a.Key), "waddle.plugin.")+"="+a.Value.String())
				}
				sort.Strings(words[1:])
				figures[strings.Join(words, " ")] = p.Value
			}
		}
	}
	return figures, units
}

func TestObserve(t *testing.T) {
	ctx := context.Background()
	clock := new(sessiontest.Clock)
	p := open(t, "acme", clock)
	reader := sdk.NewManualReader()
	registration, err := pluginotel.Observe(p, waddleotel.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
	require.NoError(t, err)

	get := func(now store.Millis) { _, _ = p.Get(ctx, []byte("key"), now) }
	want := map[string]int64{"restarts name=acme": 0}
	shards := func(running, backoff, closed int64) {
		want["shards name=acme shard.state=running"] = running
		want["shards name=acme shard.state=backoff"] = backoff
		want["shards name=acme shard.state=closed"] = closed
	}
	gets := func(ok, notFound, conflicts, failed int64) {
		want["calls name=acme operation=get outcome=ok"] = ok
		want["calls name=acme operation=get outcome=not_found"] = notFound
		want["calls name=acme operation=get outcome=conflict"] = conflicts
		want["calls name=acme operation=get outcome=error"] = failed
	}
	for _, step := range []struct {
		name string
		do   func()
		want func()
	}{
		{"at rest", func() {}, func() { shards(2, 0, 0); gets(0, 0, 0, 0) }},
		{"answers", func() {
			get(works)
			get(works)
			get(notFound)
			get(conflict)
			get(conflict)
			get(invalid)
		}, func() { gets(2, 1, 2, 1) }},
		{"a trap", func() { get(traps) }, func() { gets(2, 1, 2, 2); shards(1, 1, 0) }},
		{"refused in backoff", func() { get(works) }, func() {}},
		{"another instance", func() { clock.Advance(time.Hour); get(works) }, func() {
			gets(3, 1, 2, 2)
			shards(2, 0, 0)
			want["restarts name=acme"] = 1
		}},
		// The guest ignores the time of a save.
		{"closed", func() { require.Error(t, p.Close(ctx)) }, func() {
			shards(0, 0, 2)
			want["calls name=acme operation=save outcome=error"] = 2
		}},
	} {
		step.do()
		step.want()
		figures, units := collect(t, reader)
		require.Equal(t, map[string]string{
			"waddle.plugin.memory.usage": "By false",
			"waddle.plugin.memory.limit": "By false",
			"waddle.plugin.restarts":     "{restart} true",
			"waddle.plugin.shards":       "{shard} false",
			"waddle.plugin.calls":        "{call} true",
			"waddle.plugin.fuel":         "{unit} true",
			"waddle.plugin.throttled":    "{call} true",

			"waddle.plugin.queue":         "{call} false",
			"waddle.plugin.queue.refused": "{call} true",
			"waddle.plugin.turns":         "{call} true",
		}, units, step.name)
		stats := p.Stats()
		require.EqualValues(t, 8<<20, figures["memory.limit name=acme"], step.name)
		require.Equal(t, stats.Memory, figures["memory.usage name=acme"], step.name)
		require.Equal(t, step.name != "closed", stats.Memory > 0, step.name)
		for name, op := range stats.Ops {
			want["fuel name=acme operation="+name] = int64(op.Fuel)
		}
		require.Equal(t, step.name != "at rest", want["fuel name=acme operation=get"] > 0, step.name)
		for what, figure := range want {
			require.Contains(t, figures, what, step.name)
			require.Equal(t, figure, figures[what], "%s: %s", step.name, what)
		}
		for what, figure := range figures {
			if _, told := want[what]; !told && !strings.HasPrefix(what, "memory.") {
				require.Zero(t, figure, "%s: %s", step.name, what)
			}
		}
	}
	require.NoError(t, registration.Unregister())
	figures, _ := collect(t, reader)
	require.Empty(t, figures)
}

// Several plugins are told apart by their names or by the program's attributes.
func TestSeveralPlugins(t *testing.T) {
	ctx := context.Background()
	clock := new(sessiontest.Clock)
	reader := sdk.NewManualReader()
	provider := waddleotel.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader)))
	for i, tenant := range []string{"alice", "bob"} {
		p := open(t, "engine", clock)
		for range i + 1 {
			_, err := p.Get(ctx, []byte("key"), works)
			require.NoError(t, err)
		}
		_, err := pluginotel.Observe(p, provider, waddleotel.WithAttributes(attribute.String("tenant", tenant)))
		require.NoError(t, err)
	}
	figures, _ := collect(t, reader)
	require.EqualValues(t, 1, figures["calls name=engine operation=get outcome=ok tenant=alice"])
	require.EqualValues(t, 2, figures["calls name=engine operation=get outcome=ok tenant=bob"])
}

// meters is a provider that makes no counter.
type meters struct{ noop.MeterProvider }
type meter struct{ noop.Meter }

var errMeter = errors.New("no counter for tests")

func (meters) Meter(string, ...metric.MeterOption) metric.Meter { return meter{} }
func (meter) Int64ObservableCounter(string, ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return nil, errMeter
}

func TestErrors(t *testing.T) {
	_, err := pluginotel.Observe(open(t, "", new(sessiontest.Clock)), waddleotel.WithMeterProvider(meters{}))
	require.ErrorIs(t, err, errMeter)
	require.Panics(t, func() { _, _ = pluginotel.Observe(nil) })
}

// counting is a plugin whose guest reports what it holds.
type counting struct {
	pluginotel.Source
	counts plugin.Counts
}

func (c *counting) Stats() plugin.Stats { return plugin.Stats{Counts: c.counts} }

// Operations that are refused for the fuel of earlier ones are counted, and a trusted
// guest, which runs unmetered, has no figures of fuel.
func TestFuel(t *testing.T) {
	for _, c := range []struct {
		config plugin.Config
		figure bool
	}{{plugin.Config{FuelRate: 1, FuelBurst: 1}, true}, {plugin.Config{Trusted: true}, false}} {
		c.config.Name, c.config.Shards, c.config.NoCache, c.config.Logger = "acme", 1, true, slog.New(slog.DiscardHandler)
		p, err := plugin.OpenFile(context.Background(), "../../plugin/testdata/hostile.wasm", c.config)
		require.NoError(t, err)
		defer func() { _ = p.Close(context.Background()) }()
		reader := sdk.NewManualReader()
		_, err = pluginotel.Observe(p, waddleotel.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
		require.NoError(t, err)
		for range 1 << 16 { // what a guest used is told to the allowance in portions
			if _, err = p.Get(context.Background(), []byte("key"), works); err != nil {
				break
			}
		}
		require.Equal(t, c.figure, errors.Is(err, plugin.ErrRate))
		figures, _ := collect(t, reader)
		throttled, told := figures["throttled name=acme"]
		require.Equal(t, c.figure, told)
		require.Equal(t, c.figure, throttled == 1)
		_, told = figures["fuel name=acme operation=get"]
		require.Equal(t, c.figure, told)
	}
}

// Each limit that was exceeded has a figure, and no other has.
func TestExceededLimits(t *testing.T) {
	ctx := context.Background()
	p := open(t, "acme", new(sessiontest.Clock))
	reader := sdk.NewManualReader()
	_, err := pluginotel.Observe(p, waddleotel.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
	require.NoError(t, err)
	limits := func() map[string]int64 {
		figures, _ := collect(t, reader)
		for name := range figures {
			if !strings.HasPrefix(name, "limits ") {
				delete(figures, name)
			}
		}
		return figures
	}
	require.Empty(t, limits())
	for range 3 {
		_, err = p.Get(ctx, make([]byte, 2000), works)
		require.ErrorIs(t, err, store.ErrTooLarge)
	}
	_, err = p.Get(ctx, []byte("key"), recurs)
	require.ErrorIs(t, err, plugin.ErrDepth)
	require.Equal(t, map[string]int64{"limits limit=key name=acme": 3, "limits limit=depth name=acme": 1}, limits())
}

// A guest's own figures are passed on; figures that it does not know are left out.
func TestCounts(t *testing.T) {
	source := &counting{Source: open(t, "acme", new(sessiontest.Clock))}
	reader := sdk.NewManualReader()
	_, err := pluginotel.Observe(source, waddleotel.WithMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader))))
	require.NoError(t, err)
	names := []string{"records", "records.size", "evictions", "expirations"}
	for _, c := range []struct {
		counts plugin.Counts
		want   []int64 // -1 for none
	}{
		{plugin.Counts{}, []int64{-1, -1, -1, -1}},
		{plugin.Counts{Told: true, Records: 7, Bytes: 700, Evicted: 3, Expired: 2}, []int64{7, 700, 3, 2}},
		{plugin.Counts{Told: true, Records: -1, Bytes: -1}, []int64{-1, -1, 0, 0}},
	} {
		source.counts = c.counts
		figures, units := collect(t, reader)
		for i, name := range names {
			figure, ok := figures[name+" name=acme"]
			require.Equal(t, c.want[i] >= 0, ok, "%s of %+v", name, c.counts)
			if ok {
				require.Equal(t, c.want[i], figure, name)
				require.Equal(t, i >= 2, strings.HasSuffix(units["waddle.plugin."+name], "true"), name)
			}
		}
	}
}

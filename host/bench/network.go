package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The part network: sessions that lie in a server, over the engines that reach it and over
// others' stores for the same server.

// networkEffort is how much is measured.
type networkEffort struct {
	rounds  int
	span    time.Duration // of one measurement
	callers []int
	starts  int
}

// networkPeer is a session library over a server, in the order of the table.
type networkPeer struct {
	name   string
	module string // whose version is reported; "" for none
	note   string
	open   func(ctx context.Context, s *servers, f *faults) (server, error)
}

// backendPeers are those that keep their sessions in one kind of server.
type backendPeers struct {
	name  string
	ours  string // the engine that the others are compared with
	peers []networkPeer
}

const (
	nameRedisEngine    = "waddle, redis engine"
	nameRedisNative    = "waddle, native store over go-redis"
	nameSCSRedis       = "scs, goredisstore"
	nameFiberRedis     = "fiber, redis storage"
	namePostgresEngine = "waddle, postgres engine"
	namePostgresNative = "waddle, native store over pgx"
	nameSCSPostgres    = "scs, pgxstore"
)

func networkPeers() []backendPeers {
	return []backendPeers{
		{name: "Redis", ours: nameRedisEngine, peers: []networkPeer{
			{name: nameRedisEngine, open: openRedisEngine},
			{name: nameRedisNative, module: "github.com/redis/go-redis/v9", open: openRedisNative},
			{name: nameSCSRedis, module: "github.com/alexedwards/scs/goredisstore", open: openSCSRedis},
			{name: nameFiberRedis, module: "github.com/gofiber/storage/redis/v3", open: openFiberRedis,
				note: "its middleware loads and saves for every request"},
		}},
		{name: "PostgreSQL", ours: namePostgresEngine, peers: []networkPeer{
			{name: namePostgresEngine, open: openPostgresEngine},
			{name: namePostgresNative, module: "github.com/jackc/pgx/v5", open: openPostgresNative},
			{name: nameSCSPostgres, module: "github.com/alexedwards/scs/pgxstore", open: openSCSPostgres},
		}},
	}
}

// networkResult has a row for each library, operation and number of callers, and what
// starting an engine takes.
type networkResult struct {
	Rows   []networkRow      `json:"rows"`
	Starts []networkStart    `json:"starts"`
	Notes  map[string]string `json:"notes"`
}

// networkRow is one measurement: nanoseconds of a request, medians of the rounds.
type networkRow struct {
	Backend   string  `json:"backend"`
	Subject   string  `json:"subject"`
	Operation string  `json:"operation"`
	Callers   int     `json:"callers"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	Rate      float64 `json:"rate"` // requests per second
	CPU       float64 `json:"cpu"`  // processor time of this process for a request
	// Of the ratio of neighbouring measurements to our engine: above 1 is dearer, or slower.
	RatioP50  float64 `json:"ratio_p50"`
	RatioTime float64 `json:"ratio_time"` // of a request with all callers at work, the inverse of Rate
	RatioCPU  float64 `json:"ratio_cpu"`
}

// networkSample is one round of a row.
type networkSample struct{ p50, p99, time, cpu float64 }

// runNetwork measures all libraries over real servers that it starts. A server that is not
// installed is left out, with a note.
func runNetwork(ctx context.Context, e networkEffort) (*networkResult, error) {
	result := &networkResult{Notes: map[string]string{}}
	for _, b := range networkPeers() {
		err := withServers(b.name, func(s *servers) error {
			rows, err := measureBackend(ctx, b, s, e, result.Notes)
			if err != nil {
				return err
			}
			result.Rows = append(result.Rows, rows...)
			start, err := measureStart(ctx, b.ours, s, e.starts)
			if err != nil {
				return err
			}
			result.Starts = append(result.Starts, *start)
			return nil
		})
		if missing := (*missingServer)(nil); errors.As(err, &missing) {
			result.Notes[b.name] = "SKIPPED: " + missing.why
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return result, nil
}

// networkCell is what is measured round by round.
type networkCell struct {
	peer    int
	op      operation
	callers int
	samples []networkSample
}

func measureBackend(ctx context.Context, b backendPeers, s *servers, e networkEffort, notes map[string]string) (rows []networkRow, err error) {
	most := slices.Max(e.callers)
	visitors := make([][]client, len(b.peers))
	var f faults
	for i, p := range b.peers {
		if p.note != "" {
			notes[p.name] = p.note
		}
		app, err := p.open(ctx, s, &f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		defer func() { err = errors.Join(err, app.close()) }()
		for n := range most {
			c, err := app.login(userName(n))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			visitors[i] = append(visitors[i], c)
		}
	}
	var cells []*networkCell
	for _, op := range []operation{opRead, opWrite} {
		for _, callers := range e.callers {
			for i := range b.peers {
				cells = append(cells, &networkCell{peer: i, op: op, callers: callers})
			}
		}
	}
	for _, c := range cells {
		c.measure(visitors[c.peer], e.span/4) // warm
	}
	group := len(b.peers)
	for range e.rounds {
		for _, g := range rand.Perm(len(cells) / group) {
			for _, i := range rand.Perm(group) {
				c := cells[g*group+i]
				c.samples = append(c.samples, c.measure(visitors[c.peer], e.span))
			}
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	for g := range slices.Chunk(cells, group) {
		ours := g[slices.IndexFunc(b.peers, func(p networkPeer) bool { return p.name == b.ours })]
		for _, c := range g {
			rows = append(rows, c.row(b, ours))
		}
	}
	return rows, nil
}

// measure lets the callers ask for pages for a while, each as fast as the answers come.
func (c *networkCell) measure(visitors []client, span time.Duration) networkSample {
	runtime.GC()
	took := make([][]float64, c.callers)
	var stop atomic.Bool
	var all sync.WaitGroup
	cpu, began := processTime(), time.Now()
	for n := range c.callers {
		all.Go(func() {
			for first := true; first || !stop.Load(); first = false {
				start := time.Now()
				visitors[n].request(c.op)
				took[n] = append(took[n], float64(time.Since(start)))
			}
		})
	}
	time.Sleep(span)
	stop.Store(true)
	all.Wait()
	wall := time.Since(began)
	cpu = processTime() - cpu
	times := slices.Concat(took...)
	requests := float64(len(times))
	return networkSample{quantile(times, 0.5), quantile(times, 0.99), float64(wall) / requests, float64(cpu) / requests}
}

func (c *networkCell) row(b backendPeers, ours *networkCell) networkRow {
	pick := func(c *networkCell, f func(networkSample) float64) (all []float64) {
		for _, s := range c.samples {
			all = append(all, f(s))
		}
		return all
	}
	p50 := func(s networkSample) float64 { return s.p50 }
	p99 := func(s networkSample) float64 { return s.p99 }
	wall := func(s networkSample) float64 { return s.time }
	cpu := func(s networkSample) float64 { return s.cpu }
	ratio := func(f func(networkSample) float64) float64 { return median(ratios(pick(c, f), pick(ours, f))) }
	r := networkRow{Backend: b.name, Subject: b.peers[c.peer].name, Operation: c.op.String(), Callers: c.callers,
		P50: median(pick(c, p50)), P99: median(pick(c, p99)), Rate: 1e9 / median(pick(c, wall)), CPU: median(pick(c, cpu)),
		RatioP50: ratio(p50), RatioTime: ratio(wall)}
	if r.CPU > 0 {
		r.RatioCPU = ratio(cpu)
	}
	return r
}

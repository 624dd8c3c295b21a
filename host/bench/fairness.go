package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// The part fairness: what one tenant notices of another that does all the harm it can, in
// one process on two cores, over HTTP.

// fairnessEffort is how much is measured.
type fairnessEffort struct {
	rounds int
	span   time.Duration // of one measurement, of which there are two in a round
}

// fairnessResult has times of a request of the well-behaved tenant, of a hundred the slowest
// but one, in nanoseconds.
type fairnessResult struct {
	Alone    float64  `json:"alone_p99"`
	Beside   float64  `json:"beside_p99"`
	Ratio    float64  `json:"ratio"` // the median of the ratios of neighbouring measurements
	Low      float64  `json:"ratio_low"`
	High     float64  `json:"ratio_high"` // quartiles
	Requests int      `json:"requests"`   // of the well-behaved tenant, in all
	Harm     harmDone `json:"harm"`
}

// harmDone counts what the other tenant did meanwhile.
type harmDone struct {
	Loops    int `json:"loops"`     // calls that a bound ended
	Refused  int `json:"refused"`   // requests that found the queue full or waited too long
	Crashes  int `json:"crashes"`   // calls that trapped, or were refused after one that did
	Files    int `json:"files"`     // writes to a disk
	FullDisk int `json:"full_disk"` // writes that found it full
	Deployed int `json:"deployed"`  // modules compiled
}

//go:embed emptyguest/bad.wasm
var badGuest []byte

// runFairness measures a tenant alone and beside the other, in turns.
func runFairness(ctx context.Context, e fairnessEffort) (result *fairnessResult, err error) {
	err = onCores(2, func() error {
		host := plugin.NewHost(plugin.HostConfig{})
		defer host.Close(ctx)
		good, err := startNeighbour(ctx, host)
		if err != nil {
			return err
		}
		defer good.close()
		bad, err := startHarm(ctx, host)
		if err != nil {
			return err
		}
		defer bad.close()
		if _, err := good.measure(e.span / 4); err != nil { // warm
			return err
		}
		result = new(fairnessResult)
		var alone, beside []float64
		for round := range e.rounds {
			pair := map[bool]float64{}
			for _, harmed := range []bool{round%2 == 0, round%2 != 0} {
				stop := func() {}
				if harmed {
					stop = bad.start(ctx)
				}
				took, err := good.measure(e.span)
				stop()
				if err != nil {
					return err
				}
				pair[harmed] = quantile(took, 0.99)
				result.Requests += len(took)
			}
			alone, beside = append(alone, pair[false]), append(beside, pair[true])
		}
		all := ratios(beside, alone)
		result.Alone, result.Beside = median(alone), median(beside)
		result.Ratio, result.Low, result.High = median(all), quantile(all, 0.25), quantile(all, 0.75)
		result.Harm = bad.done
		return bad.err()
	})
	return result, err
}

// listen serves on an address of its own.
func listen(h http.Handler) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h}
	go func() { _ = s.Serve(l) }()
	return "http://" + l.Addr().String(), func() { _ = s.Close() }, nil
}

// neighbour is a tenant that behaves: sessions in the memory engine, not trusted, read and
// written by a few visitors who pause between requests.
type neighbour struct {
	url   string
	close func()
}

const (
	visitors     = 4
	visitorPause = 2 * time.Millisecond
)

func startNeighbour(ctx context.Context, host *plugin.Host) (*neighbour, error) {
	wasm, err := memory.Module()
	if err != nil {
		return nil, err
	}
	config := meteringConfig(false)
	config.Host = host
	engine, err := plugin.Open(ctx, wasm, config)
	if err != nil {
		return nil, err
	}
	m, err := session.New(engine, session.Settings{})
	if err != nil {
		return nil, err
	}
	count := session.NewKey[int]("count")
	url, stop, err := listen(m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.From(r)
		n, _, err := count.Lookup(s)
		if err == nil {
			err = count.Set(s, n+1)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		_, _ = fmt.Fprint(w, n)
	})))
	if err != nil {
		return nil, err
	}
	return &neighbour{url, func() { stop(); _ = engine.Close(ctx) }}, nil
}

// measure returns the times of the requests of a while.
func (n *neighbour) measure(span time.Duration) (took []float64, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for range visitors {
		all.Go(func() {
			mine, failed := n.visit(span)
			mu.Lock()
			defer mu.Unlock()
			took, err = append(took, mine...), errors.Join(err, failed)
		})
	}
	all.Wait()
	return took, err
}

func (n *neighbour) visit(span time.Duration) (took []float64, err error) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var cookie string
	want := 0
	for began := time.Now(); time.Since(began) < span; time.Sleep(visitorPause) {
		r, err := http.NewRequest(http.MethodGet, n.url, nil)
		if err != nil {
			return nil, err
		}
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		start := time.Now()
		answer, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(answer.Body)
		passed := time.Since(start)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || string(body) != fmt.Sprint(want) {
			return nil, fmt.Errorf("request %d of a visitor: status %d, %q, %w", want, answer.StatusCode, body, err)
		}
		if want > 0 { // the first opens the connection and makes the session
			took = append(took, float64(passed))
		}
		for _, c := range answer.Cookies() {
			cookie = c.Name + "=" + c.Value
		}
		want++
	}
	return took, nil
}

// harm is a tenant that does everything at once: it loops, floods, crashes on each call,
// fills its disk, and deploys again and again.
type harm struct {
	host            *plugin.Host
	loops, crashes  *plugin.Plugin
	files           *plugin.Plugin
	url, dir        string
	stop            func()
	module          []byte // to deploy, with other bytes each time
	deployed, round int

	mu     sync.Mutex
	done   harmDone
	failed error
}

const (
	// flood is how many requests are under way at once, on connections of their own, and
	// floodPause how long each connection rests after an answer, at most.
	flood      = 32
	floodPause = 200 * time.Millisecond
	// badDeadline is how long a loop may run.
	badDeadline = 50 * time.Millisecond
	diskBytes   = 16 << 20
)

func startHarm(ctx context.Context, host *plugin.Host) (_ *harm, err error) {
	h := &harm{host: host, stop: func() {}}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.module, err = memory.Module(); err != nil {
		return nil, err
	}
	if h.dir, err = os.MkdirTemp("", "waddle-fairness-"); err != nil {
		return nil, err
	}
	config := meteringConfig(false)
	config.Host, config.Deadline, config.Shards, config.MaxQueue = host, badDeadline, 4, flood/4
	if h.loops, err = plugin.Open(ctx, badGuest, config); err != nil {
		return nil, err
	}
	if h.crashes, err = plugin.Open(ctx, badGuest, config); err != nil {
		return nil, err
	}
	wasm, err := keyfolder.Module()
	if err != nil {
		return nil, err
	}
	config.MaxQueue, config.Deadline = 0, 0
	config.Mounts = []plugin.Mount{{Dir: h.dir, Path: "/data", MaxBytes: diskBytes}}
	if h.files, err = plugin.Open(ctx, wasm, config); err != nil {
		return nil, err
	}
	h.url, h.stop, err = listen(http.HandlerFunc(h.serve))
	return h, err
}

// serve makes the guest loop or crash, as the path says.
func (h *harm) serve(w http.ResponseWriter, r *http.Request) {
	p, key := h.loops, []byte("loop")
	if r.URL.Path == "/crash" {
		p, key = h.crashes, []byte("crash")
	}
	_, err := p.Get(r.Context(), append(key, r.URL.RawQuery...), store.At(time.Now()))
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case errors.Is(err, plugin.ErrBusy):
		h.done.Refused++
	case errors.Is(err, plugin.ErrDeadline):
		h.done.Loops++
	case errors.Is(err, plugin.ErrTrap):
		h.done.Crashes++
	}
	http.Error(w, fmt.Sprint(err), http.StatusServiceUnavailable)
}

// start does harm until the function that it returns is called.
func (h *harm) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * flood}
	client := &http.Client{Transport: transport}
	for n := range flood {
		path := "/loop"
		if n%8 == 0 {
			path = "/crash"
		}
		all.Go(func() {
			for ; ctx.Err() == nil; pause(ctx, rand.N(floodPause)) {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s%s?%d", h.url, path, n), nil)
				if err != nil {
					h.note(err)
					return
				}
				if answer, err := client.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
			}
		})
	}
	all.Go(func() { h.fill(ctx) })
	all.Go(func() { h.deploy(ctx) })
	return func() {
		cancel()
		all.Wait()
		transport.CloseIdleConnections()
	}
}

// fill writes to the disk, until it is full and on.
func (h *harm) fill(ctx context.Context) {
	value := bytes.Repeat([]byte("waddle"), 10_000)
	for ; ctx.Err() == nil; h.round++ {
		err := h.files.Set(ctx, store.Write{Key: fmt.Append(nil, "key", h.round%1000), Value: value, Now: store.At(time.Now())})
		switch {
		case err == nil:
			h.done.Files++
		case errors.Is(err, store.ErrNoSpace):
			h.done.FullDisk++
			if h.done.FullDisk%100 == 0 {
				_ = h.files.Clear(ctx, store.At(time.Now()))
			}
		case ctx.Err() == nil:
			h.note(err)
			return
		}
	}
}

// deploy compiles the module with other bytes each time, and opens and closes it.
func (h *harm) deploy(ctx context.Context) {
	for ; ctx.Err() == nil; h.deployed++ {
		id := fmt.Sprintf("%08d%08x", h.deployed, time.Now().UnixNano()&0xffffffff)
		wasm := append(bytes.Clone(h.module), append([]byte{0, byte(1 + len("id") + len(id)), byte(len("id"))}, "id"+id...)...)
		config := meteringConfig(false)
		config.Host = h.host
		p, err := plugin.Open(ctx, wasm, config)
		if err == nil {
			err = p.Close(ctx)
			h.done.Deployed++
		}
		if err != nil && ctx.Err() == nil {
			h.note(err)
			return
		}
	}
}

func (h *harm) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = errors.Join(h.failed, err)
}

func (h *harm) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed
}

func (h *harm) close() {
	h.stop()
	for _, p := range []*plugin.Plugin{h.loops, h.crashes, h.files} {
		if p != nil {
			_ = p.Close(context.Background())
		}
	}
	if h.dir != "" {
		_ = os.RemoveAll(h.dir)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (t table) fairness(f *fairnessResult) {
	t.line("fairness: a request of a well-behaved tenant, of a hundred the slowest but one, on two cores")
	t.line("alone %s, beside a tenant that loops, floods, crashes, fills its disk and deploys at once %s: %.2f times (quartiles %.2f to %.2f)",
		short(time.Duration(f.Alone)), short(time.Duration(f.Beside)), f.Ratio, f.Low, f.High)
	t.line("meanwhile %d loops, %d requests refused, %d crashes, %d files written, %d times a full disk, %d modules deployed",
		f.Harm.Loops, f.Harm.Refused, f.Harm.Crashes, f.Harm.Files, f.Harm.FullDisk, f.Harm.Deployed)
}

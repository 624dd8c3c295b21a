package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/store"
)

// scalePoint says what the sessions are like for one point of a curve.
type scalePoint struct {
	Sessions int `json:"sessions"`
	Values   int `json:"values"` // of each session, one of which is read or written
	Size     int `json:"size"`   // of each value, in bytes
	Shards   int `json:"shards,omitempty"`

	// Apart says that the collector is kept out of the batches, and that its share is
	// calculated: with millions of sessions a collection takes longer than a batch.
	Apart bool `json:"apart,omitempty"`
}

// visited is how many of the sessions get requests, at random, at most. It is enough that
// neither they nor the cookies are in the processor's caches.
const visited = 1 << 20

// scaleForced is up to how many sessions garbage is collected between batches.
const scaleForced = 100_000

// Facts of a scale worker.
const (
	factMemory     = "memory"     // bytes of all sessions, with all that the store needs for them
	factCollection = "collection" // nanoseconds of processor time for one
	factHeap       = "heap"       // bytes that it looked at
)

// scaleSite is an application with sessions of a given kind.
type scaleSite struct {
	point   scalePoint
	store   store.Store
	manager *session.Manager
	keys    []session.Key[string]
	cookies []byte // all Cookie headers, each as long as the others, without pointers to be scanned
	clients []*scaleClient
	faults  faults
}

// scaleClient is what one goroutine needs for its requests.
type scaleClient struct {
	made, now http.Request
	cookie    []string
	answer    discard
	random    *rand.PCG
	value     []byte // to be written; it begins with how often that was done
	writes    uint64
	key       int
	handlers  [operations]http.Handler
}

const scaleCookie = len("session_id=") + 43 // bytes of a Cookie header

// openScale sets sessions up.
func openScale(ctx context.Context, a assignment) (*stand, error) {
	s := &scaleSite{point: *a.Scale}
	grown := heapMeter()
	memory := grown
	if a.Subject == nameNative {
		s.store = store.NewMemory()
	} else {
		engine, err := openScaleEngine(ctx, s.point)
		if err != nil {
			return nil, err
		}
		s.store, memory = engine, func() int64 { return engine.Stats().Memory }
	}
	if err := s.fill(ctx); err != nil {
		return nil, err
	}
	used := memory()
	if a.Subject == nameNative {
		used -= int64(cap(s.cookies)) // they lie on the heap, too
	}
	facts := map[string]float64{factMemory: float64(used)}
	facts[factCollection], facts[factHeap] = collection()
	if s.point.Apart {
		debug.SetGCPercent(-1)
	}

	result := &stand{facts: facts, verify: s.verify, close: func() error { return store.Close(ctx, s.store) }}
	for _, op := range []operation{opRead, opWrite} {
		for _, n := range a.Cores {
			c := cell{cellName: cellName{Subject: a.Subject, Operation: op.String(), Cores: n, Uncollected: s.point.Apart && s.point.Sessions > scaleForced}, workers: 1}
			if n > 1 {
				c.workers = workersPerCore * n
			}
			for len(s.clients) < c.workers {
				s.clients = append(s.clients, s.newClient())
			}
			c.run = func(worker, n int) { s.run(op, worker, n) }
			result.cells = append(result.cells, c)
		}
	}
	return result, nil
}

// collection returns what a collection takes, of three the shortest, and how much it leaves.
func collection() (ns, heap float64) {
	ns = math.Inf(1)
	for range 3 {
		cpu, start := processTime(), time.Now()
		runtime.GC()
		took := time.Since(start)
		if cpu > 0 {
			took = processTime() - cpu
		}
		ns = min(ns, float64(took))
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return ns, float64(m.HeapAlloc)
}

// openScaleEngine gives the engine memory for twice what the sessions need.
func openScaleEngine(ctx context.Context, p scalePoint) (*plugin.Plugin, error) {
	need := int64(p.Sessions) * int64(p.Values*(p.Size+16)+300)
	return openEngineWith(ctx, plugin.Config{Shards: p.Shards, MemoryLimit: max(512<<20, 3*need)})
}

// fill makes the visited sessions, and copies of the first one's record under other keys.
func (s *scaleSite) fill(ctx context.Context) error {
	settings := session.Settings{MaxSize: 4 << 20, OnError: func(w http.ResponseWriter, _ *http.Request, err error) { s.faults.note(err) }}
	var err error
	if s.manager, err = session.New(s.store, settings); err != nil {
		return err
	}
	value := strings.Repeat("v", s.point.Size)
	for i := range s.point.Values {
		s.keys = append(s.keys, session.NewKey[string](fmt.Sprintf("v%04d", i)))
	}
	save := func(m *session.Manager) (string, error) {
		v := m.Session(ctx, "")
		for _, k := range s.keys {
			if err := k.Set(v, value); err != nil {
				return "", err
			}
		}
		if err := v.Save(); err != nil {
			return "", err
		}
		return v.ID()
	}
	n := min(s.point.Sessions, visited)
	s.cookies = make([]byte, 0, n*scaleCookie)
	for range n {
		id, err := save(s.manager)
		if err != nil {
			return err
		}
		s.cookies = append(append(s.cookies, "session_id="...), id...)
	}
	model := &lastWrite{Store: store.NewMemory()}
	m, err := session.New(model, settings)
	if err != nil {
		return err
	}
	if _, err := save(m); err != nil {
		return err
	}
	key := make([]byte, keySize)
	for i := n; i < s.point.Sessions; i++ {
		crowdKey(key, i)
		model.last.Key = key
		if err := s.store.Set(ctx, model.last); err != nil {
			return err
		}
	}
	return nil
}

// lastWrite keeps the last write.
type lastWrite struct {
	store.Store
	last store.Write
}

func (s *lastWrite) Set(ctx context.Context, w store.Write) error {
	s.last = w
	s.last.Value, s.last.Expect = bytes.Clone(w.Value), abi.ExpectAny
	return s.Store.Set(ctx, w)
}

func (s *scaleSite) newClient() *scaleClient {
	c := &scaleClient{made: *httptest.NewRequest("GET", "/", nil), cookie: make([]string, 1), answer: discard{make(http.Header)},
		random: rand.NewPCG(1, uint64(len(s.clients))), value: []byte(strings.Repeat("v", s.point.Size))}
	c.made.Header["Cookie"] = c.cookie
	c.handlers[opRead] = s.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, err := s.keys[c.key].Get(session.From(r))
		if err != nil || len(value) != s.point.Size || value[len(value)-1] != 'v' {
			s.faults.note(fmt.Errorf("read %d bytes, %v", len(value), err))
		}
		_, _ = io.WriteString(w, pageUnused)
	}))
	c.handlers[opWrite] = s.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.writes++
		strconv.AppendUint(c.value[:0], 1e10+c.writes, 10)
		// It is encoded at once, so it may be overwritten afterwards.
		if err := s.keys[c.key].Set(session.From(r), unsafe.String(unsafe.SliceData(c.value), len(c.value))); err != nil {
			s.faults.note(err)
		}
		_, _ = io.WriteString(w, pageUnused)
	}))
	return c
}

// run makes n requests to sessions at random.
func (s *scaleSite) run(op operation, worker, n int) {
	c := s.clients[worker]
	for range n {
		random := c.random.Uint64()
		at := int(random>>32) % (len(s.cookies) / scaleCookie) * scaleCookie
		c.cookie[0] = unsafe.String(&s.cookies[at], scaleCookie)
		c.key = int(uint32(random)) % len(s.keys)
		c.now = c.made
		clear(c.answer.header)
		c.handlers[op].ServeHTTP(&c.answer, &c.now)
	}
}

// verify asks for each visited session once, and for copies in the store.
func (s *scaleSite) verify() error {
	c := s.newClient()
	for at := 0; at < len(s.cookies); at += scaleCookie {
		c.cookie[0] = unsafe.String(&s.cookies[at], scaleCookie)
		c.now = c.made
		c.handlers[opRead].ServeHTTP(&c.answer, &c.now)
	}
	key := make([]byte, keySize)
	for i := len(s.cookies) / scaleCookie; i < s.point.Sessions; i += 997 {
		crowdKey(key, i)
		if _, err := s.store.Get(context.Background(), key, store.At(time.Now())); err != nil {
			return fmt.Errorf("session %d of %d: %w", i, s.point.Sessions, err)
		}
	}
	return s.faults.err()
}

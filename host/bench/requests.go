package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
)

// users is how many visitors each peer has. Requests go to them in turn.
const users = 64

// application is a running peer with its visitors logged in.
type application struct {
	peer
	server  server
	faults  faults
	clients []client
	counts  []int // what each visitor's counter should be
	turn    []int // per worker, whose turn it is
}

// startPeer starts the application and verifies that it keeps sessions.
func startPeer(ctx context.Context, p peer, dir string, workers int) (*application, error) {
	a := &application{peer: p, counts: make([]int, users), turn: make([]int, workers)}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if a.server, err = p.open(ctx, dir, &a.faults); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	for n := range users {
		c, err := a.server.login(userName(n))
		if err != nil {
			return nil, fmt.Errorf("%s: log-in: %w", p.name, err)
		}
		a.clients = append(a.clients, c)
	}
	if err := a.verify(); err != nil {
		return nil, err
	}
	return a, nil
}

// verify checks every visitor's session as a browser would: the values are
// there and are the visitor's own, every measured write has arrived, and one
// more does.
func (a *application) verify() error {
	if err := a.faults.err(); err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	for n, c := range a.clients {
		if err := a.verifyClient(n, c); err != nil {
			return fmt.Errorf("%s, %s: %w", a.name, userName(n), err)
		}
	}
	return nil
}

func (a *application) verifyClient(n int, c client) error {
	if body, err := c.fetch(opUnused); err != nil || body != pageUnused {
		return fmt.Errorf("the page without a session answered %q, %v", body, err)
	}
	if !a.keeps {
		return nil
	}
	for range 2 {
		want := expected(userName(n), a.counts[n])
		if body, err := c.fetch(opInspect); err != nil || body != want {
			return fmt.Errorf("the session is %q, %v, want %q", body, err, want)
		}
		if body, err := c.fetch(opRead); err != nil || body != userName(n) {
			return fmt.Errorf("the page that reads answered %q, %v", body, err)
		}
		if _, err := c.fetch(opWrite); err != nil {
			return fmt.Errorf("the page that writes: %w", err)
		}
		a.counts[n]++
	}
	return a.faults.err()
}

// cells are the measurements of the peer for the given numbers of cores.
func (a *application) cells(op operation, cores []int) []cell {
	var cells []cell
	for _, n := range cores {
		c := cell{cellName: cellName{Subject: a.name, Operation: op.String(), Cores: n}, workers: 1}
		if n > 1 {
			c.workers = workersPerCore * n
		}
		c.run = func(worker, n int) { a.run(op, worker, c.workers, n) }
		cells = append(cells, c)
	}
	return cells
}

// workersPerCore is how many goroutines per core make requests when all cores
// do.
const workersPerCore = 2

// run makes n requests, each for the next visitor of the worker's own share.
func (a *application) run(op operation, worker, workers, n int) {
	first, end := worker*users/workers, (worker+1)*users/workers
	at := min(max(first, a.turn[worker]), end-1)
	for range n {
		c := a.clients[at]
		c.request(op)
		if op == opWrite && !c.carries() {
			a.counts[at]++
		}
		if at++; at == end {
			at = first
		}
	}
	a.turn[worker] = at
}

// nameControl is arithmetic that shares nothing and allocates nothing: its
// scaling is the best that the machine allows at the moment.
const nameControl = "control, arithmetic only"

func controlCells(cores []int) []cell {
	var cells []cell
	for _, n := range cores {
		c := cell{cellName: cellName{Subject: nameControl, Operation: opUnused.String(), Cores: n}, workers: 1, run: spin}
		if n > 1 {
			c.workers = workersPerCore * n
		}
		cells = append(cells, c)
	}
	return cells
}

// spun keeps the compiler from removing spin's work.
var spun atomic.Uint64

func spin(worker, n int) {
	x := uint64(worker)
	for range n {
		for range 256 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			x++
		}
	}
	spun.Store(x)
}

// runRequests measures all peers side by side, and verifies afterwards that
// they did what was measured.
func runRequests(ctx context.Context, p plan, cores []int) ([]samples, error) {
	scratch, err := os.MkdirTemp("", "sessions-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	all := []assignment{{Part: partRequests, Subject: nameControl, Cores: cores}}
	return measureCrew(ctx, append(all, assignPeers(peers(), cores, measured, scratch, "")...), p)
}

// assignPeers gives each peer a worker, with a directory of its own below dir.
func assignPeers(peers []peer, cores []int, ops []operation, dir, code string) (all []assignment) {
	for i, p := range peers {
		a := assignment{Part: partRequests, Subject: p.name, Cores: cores, Dir: filepath.Join(dir, fmt.Sprint(i)), Code: code}
		for _, op := range ops {
			if p.does(op) {
				a.Ops = append(a.Ops, op.String())
			}
		}
		all = append(all, a)
	}
	return all
}

// openPeer sets up the peer that is assigned, or the control.
func openPeer(ctx context.Context, a assignment) (*stand, error) {
	workers := 1
	for _, n := range a.Cores {
		workers = max(workers, workersPerCore*n)
	}
	if workers > users {
		return nil, fmt.Errorf("%d workers, but only %d visitors: use fewer cores (GOMAXPROCS)", workers, users)
	}
	if a.Subject == nameControl {
		nothing := func() error { return nil }
		return &stand{cells: controlCells(a.Cores), verify: nothing, close: nothing}, nil
	}
	for _, p := range append(peers(), filePeers(fileEnginesWith(a.Code))...) {
		if p.name != a.Subject {
			continue
		}
		app, err := startPeer(ctx, p, a.Dir, workers)
		if err != nil {
			return nil, err
		}
		s := &stand{verify: app.verify, close: app.server.close}
		for _, op := range measured {
			if slices.Contains(a.Ops, op.String()) {
				s.cells = append(s.cells, app.cells(op, a.Cores)...)
			}
		}
		return s, nil
	}
	return nil, fmt.Errorf("there is no peer %q", a.Subject)
}

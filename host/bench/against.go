package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// program is the benchmark program of one state of the repository.
type program struct {
	path string
	dir  string // host/bench of that state
}

// A comparison of two states runs their programs in turns, because a machine that is
// slow for a minute must not count against one of them. Peers run as well: they are the
// same in both, so their ratios show what the machine adds.
type comparison struct {
	this, other program
	parts       string // as in -only
	turns       int
	quick       bool
	rounds      string // the beginning of the names of files for benchstat; "" for none
}

// compared is a row that both programs measured.
type compared struct {
	subject, operation string
	cores              int

	this, other             float64 // medians of nanoseconds
	ratio, low, high        float64 // this to other: the median of the turns, and quartiles
	thisAllocs, otherAllocs float64
}

// runAgainst builds the benchmark program of the checkout in root and compares this one
// with it.
func runAgainst(ctx context.Context, root string, c comparison, t table) error {
	if c.turns < 1 {
		return fmt.Errorf("-turns is %d: must be at least 1", c.turns)
	}
	if c.parts == "" {
		c.parts = partRequests + "," + partCalls
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c.this, c.other = program{own, "."}, program{filepath.Join(dir, "other.exe"), filepath.Join(root, "host", "bench")}
	if err := c.other.build(ctx); err != nil {
		return err
	}
	these, others, err := c.run(ctx)
	if err != nil {
		return err
	}
	rows, missing, err := compare(these, others)
	if err != nil {
		return err
	}
	t.line("%s", thisMachine())
	t.compared(rows, missing, c.turns)
	if c.rounds == "" {
		return nil
	}
	return errors.Join(writeTurns(c.rounds+"-this.txt", these), writeTurns(c.rounds+"-other.txt", others))
}

// writeTurns stores what one of the states was measured at, a line for each turn, in the
// format that benchstat reads.
func writeTurns(path string, turns [][]row) error {
	var text bytes.Buffer
	thisMachine().writeConfig(&text)
	for _, rows := range turns {
		for _, r := range rows {
			writeRound(&text, benchmarkName("turn", cellName{Subject: r.Subject, Operation: r.Operation, Cores: r.Cores}), 1, r.NS, r.CPU, r.Bytes, r.Allocs)
		}
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}

// run returns the rows of both programs, turn by turn.
func (c comparison) run(ctx context.Context) (these, others [][]row, err error) {
	for turn := range c.turns {
		for i := range 2 {
			p, to := c.this, &these
			if (turn+i)%2 == 1 { // neither is always the first
				p, to = c.other, &others
			}
			r, err := p.measure(ctx, c.parts, c.quick)
			if err != nil {
				return nil, nil, err
			}
			*to = append(*to, r)
		}
	}
	return these, others, nil
}

func (p program) build(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", p.path, ".")
	build.Dir = p.dir
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the benchmarks in %s: %w\n%s", p.dir, err, out)
	}
	return nil
}

// measure runs the program once.
func (p program) measure(ctx context.Context, parts string, quick bool) ([]row, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "results.json")
	cmd := exec.CommandContext(ctx, p.path, "-quick="+strconv.FormatBool(quick), "-only", parts, "-json", path)
	cmd.Dir = p.dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the benchmarks in %s: %w\n%s", p.dir, err, &out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// Another state may write other fields, but has rows of these.
	var found struct {
		Requests []row `json:"requests"`
		Calls    []row `json:"calls"`
		Guests   struct {
			Rows []row `json:"rows"`
		} `json:"guests"`
	}
	if err := json.Unmarshal(data, &found); err != nil {
		return nil, fmt.Errorf("the results of the benchmarks in %s: %w", p.dir, err)
	}
	rows := append(found.Requests, found.Calls...)
	for _, r := range found.Guests.Rows {
		r.Subject = "guest in " + r.Subject
		rows = append(rows, r)
	}
	return rows, nil
}

// compare pairs the rows of two programs, turn by turn.
func compare(these, others [][]row) (rows []compared, missing []string, err error) {
	for _, r := range these[0] {
		c := compared{subject: r.Subject, operation: r.Operation, cores: r.Cores}
		var ours, theirs []float64
		for turn := range min(len(these), len(others)) {
			a, b := findRow(these[turn], r.Subject, r.Operation, r.Cores), findRow(others[turn], r.Subject, r.Operation, r.Cores)
			if a == nil || b == nil {
				continue
			}
			ours, theirs = append(ours, a.cpuOrClock()), append(theirs, b.cpuOrClock())
			c.thisAllocs, c.otherAllocs = a.Allocs, b.Allocs
		}
		if len(ours) == 0 {
			missing = append(missing, c.name()+" is only in this state")
			continue
		}
		each := ratios(ours, theirs)
		c.this, c.other = median(ours), median(theirs)
		c.ratio, c.low, c.high = median(each), quantile(each, 0.25), quantile(each, 0.75)
		rows = append(rows, c)
	}
	for _, r := range others[0] {
		if findRow(these[0], r.Subject, r.Operation, r.Cores) == nil {
			missing = append(missing, compared{subject: r.Subject, operation: r.Operation, cores: r.Cores}.name()+" is only in the other state")
		}
	}
	if len(rows) == 0 {
		return nil, nil, errors.New("the two states measure nothing in common: -only must be of requests, calls, guests")
	}
	return rows, missing, nil
}

func (c compared) name() string {
	return c.operation + " " + c.subject + ", cores: " + strconv.Itoa(c.cores)
}

// compared prints a table for each operation.
func (t table) compared(rows []compared, missing []string, turns int) {
	t.line("this state against the other, in %d turns; the ratio is this to the other, in processor time where the system reports it", turns)
	operation := ""
	for _, r := range rows {
		if r.operation != operation {
			operation = r.operation
			t.line("\n%s: %s", operation, what[operation])
			t.line("%-36s %5s %10s %10s %7s   %-13s %s", "", "cores", "this", "other", "ratio", "quartiles", "allocations")
		}
		t.line("%-36s %5d %10.0f %10.0f %7.3f   %.3f–%.3f   %.0f, %.0f", r.subject, r.cores, r.this, r.other, r.ratio, r.low, r.high, r.thisAllocs, r.otherAllocs)
	}
	t.line("")
	for _, m := range missing {
		t.line("%s", m)
	}
}

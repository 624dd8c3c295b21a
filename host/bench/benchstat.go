package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// recorded are the rounds of a part, for tools that compare two runs.
type recorded struct {
	part    string
	samples []samples
}

// keep records rounds and returns them.
func (r *report) keep(part string, all []samples) results {
	r.rounds = append(r.rounds, recorded{part, all})
	return all
}

// writeRounds stores every round in the Go benchmark data format, which benchstat reads
// (https://golang.org/design/14313-benchmark-format).
func (r *report) writeRounds(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	r.Machine.writeConfig(w)
	for _, each := range r.rounds {
		for _, s := range each.samples {
			s.writeRounds(w, each.part)
		}
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// writeConfig writes what holds for all lines that follow.
func (m machine) writeConfig(w io.Writer) {
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/waddle-sessions/waddle/host/bench\ncpu: %s\ngo: %s\ngogc: %d\ngomemlimit: %d\n",
		m.OS, m.Arch, m.CPU, m.Go, m.Collector, m.MemoryLimit)
}

// writeRounds writes a line for each round.
func (s *samples) writeRounds(w io.Writer, part string) {
	name := benchmarkName(part, s.cellName)
	for i, n := range s.n {
		writeRound(w, name, n, s.ns[i], s.cpu[i], s.bytes[i], s.allocs[i])
	}
}

// writeRound writes a line. Processor time is left out where it is unknown.
func writeRound(w io.Writer, name string, n int, ns, cpu, bytes, allocs float64) {
	fmt.Fprintf(w, "%s\t%d\t%.4g ns/op", name, n, ns)
	if cpu > 0 {
		fmt.Fprintf(w, "\t%.4g cpu-ns/op", cpu)
	}
	fmt.Fprintf(w, "\t%.4g B/op\t%.4g allocs/op\n", bytes, allocs)
}

// benchmarkName has the operation and the subject as keys, by which benchstat can filter
// and make columns. The suffix is GOMAXPROCS, as in names of Go's benchmarks.
func benchmarkName(part string, c cellName) string {
	return fmt.Sprintf("Benchmark%s/op=%s/subject=%s-%d", strings.ToUpper(part[:1])+part[1:], word(c.Operation), word(c.Subject), c.Cores)
}

// word makes one word of a name.
func word(name string) string {
	return strings.NewReplacer(", ", "-", " ", "-", "/", "-", "=", "-", ",", "-").Replace(name)
}

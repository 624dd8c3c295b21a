// Package promtext writes metrics in the text format of Prometheus, version 0.0.4.
package promtext

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// ContentType is the content type of the format.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// The kinds of families.
const (
	Counter   = "counter"
	Gauge     = "gauge"
	Histogram = "histogram"
)

// Writer writes families of metrics one after the other, as the format demands. An error
// of what it writes to is returned by Flush.
type Writer struct{ b *bufio.Writer }

// NewWriter returns a Writer. Flush it at the end.
func NewWriter(w io.Writer) Writer { return Writer{bufio.NewWriter(w)} }

// Flush writes what is left.
func (w Writer) Flush() error { return w.b.Flush() }

// Family begins a family. The help is one line.
func (w Writer) Family(name, kind, help string) {
	w.b.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
}

// Labels are names and values in turn.
type Labels []string

var escapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// Sample writes a whole number of the family that was begun last.
func (w Writer) Sample(name string, l Labels, value uint64) {
	w.line(name, l, strconv.FormatUint(value, 10))
}

// Seconds writes a duration of the family that was begun last.
func (w Writer) Seconds(name string, l Labels, d time.Duration) { w.line(name, l, InSeconds(d)) }

func (w Writer) line(name string, l Labels, value string) {
	w.b.WriteString(name)
	for i := 0; i < len(l); i += 2 {
		w.b.WriteString([]string{"{", ","}[min(i, 1)])
		w.b.WriteString(l[i] + `="` + escapes.Replace(l[i+1]) + `"`)
	}
	if len(l) > 0 {
		w.b.WriteByte('}')
	}
	w.b.WriteString(" " + value + "\n")
}

// InSeconds returns a duration as the format has it.
func InSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'g', -1, 64) }

// Buckets writes one series of a histogram: how many observations there were up to each
// bound, how many in all, and their sum.
func (w Writer) Buckets(name string, l Labels, bounds []time.Duration, below func(i int) uint64, count uint64, sum time.Duration) {
	le := func(bound string) Labels { return append(l[:len(l):len(l)], "le", bound) }
	for i, bound := range bounds {
		w.Sample(name+"_bucket", le(InSeconds(bound)), below(i))
	}
	w.Sample(name+"_bucket", le("+Inf"), count)
	w.Seconds(name+"_sum", l, sum)
	w.Sample(name+"_count", l, count)
}

// Bounds are the buckets of [Durations]: from an engine in memory to a storage that is
// stuck, each four times the one before.
var Bounds = [...]time.Duration{
	time.Microsecond, 4 * time.Microsecond, 16 * time.Microsecond, 64 * time.Microsecond, 256 * time.Microsecond,
	1024 * time.Microsecond, 4096 * time.Microsecond, 16384 * time.Microsecond, 65536 * time.Microsecond,
	262144 * time.Microsecond, 1048576 * time.Microsecond, 4194304 * time.Microsecond,
}

// Durations is a histogram of durations, for use by many goroutines. The zero value is
// ready.
type Durations struct {
	counts [len(Bounds) + 1]atomic.Uint64
	sum    atomic.Int64
}

// Observe adds a duration.
func (d *Durations) Observe(took time.Duration) {
	i := 0
	for i < len(Bounds) && took > Bounds[i] {
		i++
	}
	d.counts[i].Add(1)
	d.sum.Add(int64(max(took, 0)))
}

// Write writes the histogram as a series of a family.
func (d *Durations) Write(w Writer, name string, l Labels) {
	var below [len(Bounds) + 1]uint64
	var count uint64
	for i := range d.counts {
		count += d.counts[i].Load()
		below[i] = count
	}
	w.Buckets(name, l, Bounds[:], func(i int) uint64 { return below[i] }, count, time.Duration(d.sum.Load()))
}

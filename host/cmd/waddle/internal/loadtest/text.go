package loadtest

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// WriteText writes the report for people: a table with a line for each store and
// figure.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", r.Module)
	if r.Against != "" {
		fmt.Fprintf(&b, " compared with %s", r.Against)
	}
	fmt.Fprintf(&b, ", on %s with %d processors, %s\n", r.Platform, r.Processors, r.Go)
	fmt.Fprintf(&b, "Each store and figure ran for %v in %d rounds; reading the clock costs %v of every operation.\n\n",
		r.Duration, r.Rounds, r.Clock)
	if len(r.Figures) > 0 {
		r.table(&b)
	}
	if r.Against != "" && len(r.Figures) > 0 {
		fmt.Fprintf(&b, "\nThe ratio is %s's operations per second to %s's, the median of rounds (least to most).\n", r.Module, r.Against)
	}
	if r.Interrupted {
		b.WriteString("\nInterrupted: these are the results so far.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) table(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "operation\tvalue\tshards\tat once\tstore\tper second\tp50\tp90\tp99\tp99.9\tmax\tfuel\tmost\tratio\t\n")
	var notes []string
	told := false
	note := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); len(notes) == 0 || notes[len(notes)-1] != text {
			notes = append(notes, text)
		}
	}
	for _, f := range r.Figures {
		if f.Skipped != "" {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t\n", f.Operation, size(f.ValueSize), shards(f.Shards), f.Concurrency)
			note("%s with %s was not measured: %s", f.Operation, size(f.ValueSize), f.Skipped)
			continue
		}
		for i, result := range f.Results {
			what, ratio := fmt.Sprintf("%s\t%s\t%d\t%d", f.Operation, size(f.ValueSize), result.Shards, f.Concurrency), ""
			if i > 0 {
				what = fmt.Sprintf("\t\t%d\t", result.Shards)
			}
			if i == 0 && f.Ratio != nil {
				ratio = fmt.Sprintf("%.2f (%.2f to %.2f)", f.Ratio.Median, f.Ratio.Least, f.Ratio.Most)
			}
			median, most := "-", "-"
			if result.Fuel != nil {
				median, most = fmt.Sprint(result.Fuel.Median), fmt.Sprint(result.Fuel.Most)
				told = true
			}
			l := result.Latency
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", what, plain(result.Target), rate(result.OpsPerSecond),
				short(l.P50), short(l.P90), short(l.P99), short(l.P999), short(l.Max), median, most, ratio)
			if result.Missing > 0 {
				note("%s with %s: %s had dropped %d of %d requested records", f.Operation, size(f.ValueSize),
					plain(result.Target), result.Missing, result.Operations)
			}
			if result.Errors > 0 {
				note("%s with %s: %d of %d operations of %s failed, the first: %s", f.Operation, size(f.ValueSize),
					result.Errors, result.Operations, plain(result.Target), plain(result.Error))
			}
		}
	}
	_ = t.Flush() // to a builder
	if told {
		fmt.Fprintf(w, "\nfuel is what one operation uses in units, the median of %d and the most.\n", fuelCalls)
	}
	for i, n := range notes {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "- %s\n", n)
	}
}

func shards(n int) string {
	if n == 0 {
		return "auto"
	}
	return fmt.Sprint(n)
}

func size(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// rate writes a number to about three digits.
func rate(perSecond float64) string {
	switch {
	case perSecond >= 1e6:
		return fmt.Sprintf("%.2fM", perSecond/1e6)
	case perSecond >= 1e5:
		return fmt.Sprintf("%.0fk", perSecond/1e3)
	case perSecond >= 1e4:
		return fmt.Sprintf("%.1fk", perSecond/1e3)
	case perSecond >= 100:
		return fmt.Sprintf("%.0f", perSecond)
	}
	return fmt.Sprintf("%.2g", perSecond)
}

// short writes a duration to about three digits.
func short(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d < unit.size {
			continue
		}
		n := float64(d) / float64(unit.size)
		switch {
		case n >= 100:
			return fmt.Sprintf("%.0f%s", n, unit.name)
		case n >= 10:
			return fmt.Sprintf("%.1f%s", n, unit.name)
		}
		return fmt.Sprintf("%.2f%s", n, unit.name)
	}
	return fmt.Sprintf("%dns", d)
}

// plain replaces unprintable characters.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

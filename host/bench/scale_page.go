package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// scaleCurves are the curves of the page in their order, with what their axes are.
var scaleCurves = []struct {
	name, x, y string
	value      func(scaleRow) float64
	only       string // an operation; "" for all
}{
	{curveSessions, "sessions", "µs for a request", microseconds, ""},
	{curveSessions + "-memory", "sessions", "bytes for each session", func(r scaleRow) float64 { return r.Memory / float64(r.At) }, "read"},
	{curveSize, "bytes of a session's only value", "µs for a request", microseconds, ""},
	{curveValues, "values of a session", "µs for a request", microseconds, ""},
	{curveShards, "shards", "µs for a request, all cores", microseconds, ""},
	{curveCores, "GOMAXPROCS", "times the throughput of one", func(r scaleRow) float64 { return r.Ratio }, ""},
}

func microseconds(r scaleRow) float64 { return r.NS / 1000 }

// writeScale puts tables and charts into the page: between two markers for each curve,
// and into files beside it.
func writeScale(page string, m machine, rows []scaleRow) error {
	data, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text := string(data)
	dir := filepath.Join(filepath.Dir(page), "scale")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if text, err = between(text, "machine", m.String()+"\n"); err != nil {
		return err
	}
	for _, c := range scaleCurves {
		name, _, _ := strings.Cut(c.name, "-")
		chart := chart{x: c.x, y: c.y}
		for _, r := range rows {
			if r.Curve == name && r.Subject != nameControl && (c.only == "" || c.only == r.Operation) {
				line := r.Operation + ", " + strings.TrimPrefix(r.Subject, "waddle, ")
				if c.only != "" {
					line = strings.TrimPrefix(r.Subject, "waddle, ")
				}
				chart.add(line, float64(r.At), c.value(r))
			}
		}
		file := c.name + ".svg"
		if err := os.WriteFile(filepath.Join(dir, file), chart.svg(), 0o644); err != nil {
			return err
		}
		if text, err = between(text, c.name, fmt.Sprintf("![%s against %s](scale/%s)\n\n%s", c.y, c.x, file, chart.table())); err != nil {
			return err
		}
	}
	if text, err = between(text, "allocations", scaleAllocations(rows)); err != nil {
		return err
	}
	return os.WriteFile(page, []byte(text), 0o644)
}

// scaleAllocations is the table of what requests leave to the collector.
func scaleAllocations(rows []scaleRow) string {
	out := "| | sessions | read: allocs, bytes | write: allocs, bytes | a collection, ms | of it for a read, ns |\n|---|---:|---:|---:|---:|---:|\n"
	for _, r := range rows {
		if r.Curve != curveSessions || r.Operation != "read" {
			continue
		}
		for _, w := range rows {
			if w.Curve == r.Curve && w.Subject == r.Subject && w.At == r.At && w.Operation == "write" {
				out += fmt.Sprintf("| %s | %s | %.0f, %.0f | %.0f, %.0f | %.1f | %.0f |\n", strings.TrimPrefix(r.Subject, "waddle, "), grouped(float64(r.At)),
					r.Allocs, r.Bytes, w.Allocs, w.Bytes, r.Collected/1e6, r.Share)
			}
		}
	}
	return out
}

// between replaces what lies between the two markers of a name.
func between(text, name, what string) (string, error) {
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	head, rest, ok1 := strings.Cut(text, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return "", errors.New("the page has no lines " + strings.TrimSpace(begin) + " and " + end)
	}
	return head + begin + "\n" + what + "\n" + end + tail, nil
}

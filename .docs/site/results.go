package site

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// results has the part of a run of "make bench" that the page of benchmarks shows.
type results struct {
	Time    time.Time `json:"time"`
	Quick   bool      `json:"quick"`
	Machine struct {
		CPU   string `json:"cpu"`
		Cores int    `json:"cores"`
		OS    string `json:"os"`
		Arch  string `json:"arch"`
		Go    string `json:"go"`
	} `json:"machine"`
	Versions map[string]string `json:"versions"`
	Notes    map[string]string `json:"notes"`
	Requests []measured        `json:"requests"`
	Calls    []measured        `json:"calls"`
	Files    *struct {
		Filesystem string     `json:"filesystem"`
		Records    []measured `json:"records"`
	} `json:"files"`
	Network *struct {
		Rows []struct {
			Backend   string  `json:"backend"`
			Subject   string  `json:"subject"`
			Operation string  `json:"operation"`
			Callers   int     `json:"callers"`
			CPU       float64 `json:"cpu"`
			P50       float64 `json:"p50"`
		} `json:"rows"`
	} `json:"network"`
}

type measured struct {
	Subject   string  `json:"subject"`
	Operation string  `json:"operation"`
	Cores     int     `json:"cores"`
	NS        float64 `json:"ns"`
	Low       float64 `json:"ns_low"`
	High      float64 `json:"ns_high"`
	CPU       float64 `json:"cpu_ns"`
	Allocs    float64 `json:"allocs"`
}

// plots are the pictures of the page, each of the rows of one operation.
var plots = []struct{ id, operation, title, about string }{
	{"unused", "unused", "A request that does not use its session", "The processor time of a whole request, on one core. A library that loads the session anyway pays for it here."},
	{"read", "read", "A request that reads two values", "The session has five values. The handler is the same for all libraries."},
	{"write", "write", "A request that reads two values and changes one", "The changed session is stored before the response begins."},
	{"get", "get", "A get, without HTTP", "300 bytes under a key of 32, by one goroutine."},
	{"set", "set", "A set, without HTTP", "300 bytes under a key of 32, by one goroutine."},
}

// renderResults makes the page of benchmarks from the results of a run.
func (s *site) renderResults(p *page) error {
	data, err := os.ReadFile(s.Results)
	if err != nil {
		return fmt.Errorf("the results of the benchmarks: %w; make bench writes them", err)
	}
	var r results
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("the results of the benchmarks, %s: %w", s.Results, err)
	}
	if len(r.Requests) == 0 {
		return fmt.Errorf("%s has no requests: must be written by make bench, with the part requests", s.Results)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "<h1>%s</h1>\n", p.title)
	fmt.Fprintf(&out, "<p>One run of <code>make bench</code>, which measures all subjects side by side, of %s: %s, %d cores, %s/%s, %s. "+
		"Bars are medians of processor time, or of wall-clock time where that is unknown. Other machines differ: look at the ratios. "+
		"The axes are logarithmic: each line stands for ten times the one before.</p>\n",
		r.Time.UTC().Format("2 January 2006"), html.EscapeString(cmp.Or(r.Machine.CPU, "unknown processor")), r.Machine.Cores, r.Machine.OS, r.Machine.Arch, r.Machine.Go)
	if r.Quick {
		out.WriteString("<p><strong>This was a quick run, too rough to judge by.</strong></p>\n")
	}
	p.texts = append(p.texts, section{heading: p.title})
	for _, plot := range plots {
		s.plot(p, &out, plot.id, plot.title, plot.about, only(slices.Concat(r.Requests, r.Calls), plot.operation))
	}
	if r.Files != nil {
		for _, op := range operations(r.Files.Records) {
			s.plot(p, &out, "files-"+anchors{}.of(op), "Sessions in files: "+op, "On "+r.Files.Filesystem+".", only(r.Files.Records, op))
		}
	}
	s.networkPlots(p, &out, &r)
	out.WriteString("<h2 id=\"versions\">What was compared</h2>\n<ul>\n")
	p.ids["versions"] = true
	p.toc = append(p.toc, heading{2, "versions", "What was compared"})
	for _, path := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(&out, "<li><code>%s</code> %s</li>\n", html.EscapeString(path), html.EscapeString(r.Versions[path]))
	}
	out.WriteString("</ul>\n<ul>\n")
	for _, subject := range slices.Sorted(maps.Keys(r.Notes)) {
		fmt.Fprintf(&out, "<li>%s: %s</li>\n", html.EscapeString(subject), html.EscapeString(r.Notes[subject]))
	}
	out.WriteString("</ul>\n")
	p.body = out.Bytes()
	p.source = s.sourceURL("host/bench", true)
	return nil
}

// networkPlots draws the sessions that are kept in a server.
func (s *site) networkPlots(p *page, out *bytes.Buffer, r *results) {
	if r.Network == nil {
		return
	}
	kinds := map[string][]measured{}
	var order []string
	for _, row := range r.Network.Rows {
		kind := fmt.Sprintf("%s: %s, %d at the same time", row.Backend, row.Operation, row.Callers)
		if kinds[kind] == nil {
			order = append(order, kind)
		}
		kinds[kind] = append(kinds[kind], measured{Subject: row.Subject, NS: row.P50, CPU: row.CPU})
	}
	for _, kind := range order {
		s.plot(p, out, anchors{}.of(kind), "Sessions in "+kind, "The processor time of the program for a request; what the server takes is not in it.", kinds[kind])
	}
}

// only returns the rows of an operation on one core.
func only(rows []measured, operation string) []measured {
	return slices.DeleteFunc(slices.Clone(rows), func(m measured) bool { return m.Operation != operation || m.Cores > 1 })
}

func operations(rows []measured) (names []string) {
	for _, m := range rows {
		if !slices.Contains(names, m.Operation) {
			names = append(names, m.Operation)
		}
	}
	return names
}

// time is what a bar shows.
func (m *measured) time() float64 {
	if m.CPU > 0 {
		return m.CPU
	}
	return m.NS
}

// plot writes bars, and the table of the same figures.
func (s *site) plot(p *page, out *bytes.Buffer, id, title, about string, rows []measured) {
	// The control measures the machine, not a library.
	rows = slices.DeleteFunc(rows, func(m measured) bool { return strings.HasPrefix(m.Subject, "control") || m.time() <= 0 })
	if len(rows) == 0 {
		return
	}
	slices.SortStableFunc(rows, func(a, b measured) int { return cmp.Compare(a.time(), b.time()) })
	p.ids[id] = true
	p.toc = append(p.toc, heading{2, id, title})
	p.texts = append(p.texts, section{id, title, about})
	fmt.Fprintf(out, "<h2 id=\"%s\">%s</h2>\n<p>%s</p>\n", id, html.EscapeString(title), html.EscapeString(about))
	out.WriteString(bars(title, rows))
	out.WriteString("<details><summary>The figures</summary>\n<table>\n<thead><tr><th></th><th>time</th><th>wall-clock time, quartiles</th><th>allocations</th></tr></thead>\n<tbody>\n")
	for _, m := range rows {
		quartiles := ""
		if m.Low > 0 {
			quartiles = short(m.Low) + " to " + short(m.High)
		}
		fmt.Fprintf(out, "<tr><td>%s</td><td>%s</td><td>%s</td><td>%.0f</td></tr>\n", html.EscapeString(m.Subject), short(m.time()), quartiles, m.Allocs)
	}
	out.WriteString("</tbody>\n</table>\n</details>\n")
}

// short writes a time for people.
func short(ns float64) string {
	unit := "ns"
	switch {
	case ns >= 1e9:
		ns, unit = ns/1e9, "s"
	case ns >= 1e6:
		ns, unit = ns/1e6, "ms"
	case ns >= 1e3:
		ns, unit = ns/1e3, "µs"
	}
	digits := 0
	if ns < 10 {
		digits = 2
	} else if ns < 100 {
		digits = 1
	}
	text := strconv.FormatFloat(ns, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + " " + unit
}

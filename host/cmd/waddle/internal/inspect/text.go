package inspect

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// maxRows bounds the rows shown of each list, since a module may make lists long.
const maxRows = 64

// WriteText writes the report for people. It writes text from the module so that it
// cannot control a terminal.
func (r *Report) WriteText(w io.Writer) error {
	t := &text{}
	t.line("%s", plain(r.File))
	t.field("size", "%s", size(r.Size))
	t.field("sha256", "%s", orNone(r.SHA256, "not computed for a file that is too large"))
	if len(r.Sections) > 0 {
		t.outline(r)
	}
	if r.Incomplete && len(r.Sections) > 0 {
		t.line("  it cannot be read to its end: the following comes before the damage")
	}
	t.exports(r)
	t.imports(r)
	t.rewriting(r)
	t.trust(r)
	if r.Description != nil {
		t.description(r.Description)
	}
	t.verdict(r)
	_, err := io.WriteString(w, t.String())
	return err
}

// text is the text written so far.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }
func (t *text) field(name, format string, args ...any) {
	t.line("  %-11s "+format, append([]any{name}, args...)...)
}
func (t *text) row(name, format string, args ...any) {
	t.line("  %-18s "+format, append([]any{name}, args...)...)
}

func (t *text) outline(r *Report) {
	var markers []string
	for _, e := range r.Exports {
		if e.Role == RoleMarker {
			markers = append(markers, plain(e.Name))
		}
	}
	switch {
	case len(markers) > 0:
		t.field("interface", "%s", strings.Join(markers, ", "))
	case !r.Incomplete:
		t.field("interface", "none: it has no marker (%s)", abi.ExportMarker)
	}
	t.field("memory", "%s", r.Memory)
	t.field("table", "%s", r.Table)
	if r.Incomplete {
		return
	}
	t.field("code", "%s, %s, the largest %s; compiling takes %s",
		count(r.Code.Functions, "function"), size(r.Code.Bytes), size(int64(r.Code.LargestBody)), compiling(r.Code.CompileTime))
	t.field("data", "%s", size(r.Code.DataBytes))
	debugging := "no names of functions in a stack after a trap; build without stripping to get them"
	if r.Code.Names {
		debugging = "names of functions"
	}
	switch {
	case r.Code.DebugFault != "":
		debugging += "; unusable debug sections: " + plain(r.Code.DebugFault)
	case r.Code.Debug:
		debugging += "; debug information"
	}
	t.field("debugging", "%s", debugging)
}

func (t *text) exports(r *Report) {
	if len(r.Exports) > 0 {
		t.line("\nExports")
	}
	for i, e := range r.Exports {
		if i == maxRows {
			t.line("  … and %d more", len(r.Exports)-i)
			break
		}
		what := e.Signature
		if what == "" {
			what = e.Kind
		}
		t.row(plain(e.Name), "%-60s %s", what, e.Role)
	}
	if len(r.Absent) > 0 && len(r.Exports) > 0 {
		t.line("\nNot exported, and not required")
		for _, a := range r.Absent {
			t.row(a.Name, "%s", a.Consequence)
		}
	}
}

func (t *text) imports(r *Report) {
	if len(r.Sections) == 0 {
		return
	}
	if len(r.Imports) > 0 {
		t.line("\nImports")
	}
	for i, m := range r.Imports {
		if i == maxRows {
			t.line("  … and %d more", len(r.Imports)-i)
			break
		}
		what := m.Signature
		if what == "" {
			what = m.Kind
		}
		t.line("  %-40s %s", plain(m.Module)+"."+plain(m.Name), what)
	}
	t.permissions(r)
}

func (t *text) trust(r *Report) {
	if len(r.Sections) == 0 {
		return
	}
	t.line("\nTrust")
	if r.Trusted {
		t.line("  it is a bundled engine and trusted: it runs unmetered, unless its host sets a bound")
		return
	}
	t.line("  it is not trusted unless its host says so (Config.Trusted, --trusted): it runs metered, and each call\n"+
		"  has bounds, by default %d units of fuel and %v", plugin.DefaultFuel, plugin.DefaultDeadline)
}

func (t *text) verdict(r *Report) {
	switch n := len(r.Refused); {
	case r.Accepted && r.Description == nil:
		t.line("\nNothing in the file was found against it. Only running it shows whether it opens: add --describe.")
		return
	case r.Accepted:
		t.line("\nIt would be loaded.")
		return
	case n == 1:
		t.line("\nIt would be refused:")
	default:
		t.line("\nIt would be refused, for %d reasons:", n)
	}
	for i, reason := range r.Refused {
		if i == maxRows {
			t.line("  … and %d more", len(r.Refused)-i)
			break
		}
		t.line("  - %s: %s", reason.Kind, plain(reason.Detail))
	}
}

// String writes the memory for people.
func (m *Memory) String() string {
	if m == nil {
		return "none"
	}
	s := fmt.Sprintf("%s at first (%s)", count(int(m.Min), "page"), size(m.Min<<16))
	if m.Max < 0 {
		return s + ", bounded only by the host's memory_limit"
	}
	return s + fmt.Sprintf(", at most %s (%s)", count(int(m.Max), "page"), size(m.Max<<16))
}

// String writes the table for people.
func (t *Table) String() string {
	if t == nil {
		return "none"
	}
	s := strconv.FormatInt(t.Min, 10) + " entries"
	if t.Min == 1 {
		s = "1 entry"
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func size(bytes int64) string {
	switch {
	case bytes < 0:
		return "unknown"
	case bytes < 1<<10:
		return fmt.Sprintf("%d bytes", bytes)
	case bytes < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	case bytes < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}

func compiling(estimate time.Duration) string {
	if estimate < 10*time.Millisecond {
		return "a few milliseconds at most"
	}
	return "about " + estimate.Round(10*time.Millisecond).String()
}

func orNone(text, none string) string {
	if text == "" {
		return none
	}
	return text
}

// plain replaces unprintable characters.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

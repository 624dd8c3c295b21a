package tenant

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waddle-sessions/waddle/host/internal/printable"
)

// FieldError is a fault at one place of a manifest.
type FieldError struct {
	Path    string // of the place, such as $.limits.memory or $.hosts[1]
	Line    int    // in the text, from 1; 0 for a manifest that was made in Go
	Problem string // what was found, what is allowed, what to do
	Err     error  // the cause, or nil
}

// Error describes the fault in one line.
func (e *FieldError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %s %s", e.Line, e.Path, e.Problem)
	}
	return e.Path + " " + e.Problem
}

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

// faults are the faults of a manifest, as they are found.
type faults struct {
	all   []error
	lines map[string]int  // by path
	told  map[string]bool // paths that have a fault
}

func newFaults() *faults { return &faults{lines: make(map[string]int), told: make(map[string]bool)} }

// err returns all faults as one ErrManifest, or nil.
func (f *faults) err() error {
	if len(f.all) == 0 {
		return nil
	}
	slices.SortStableFunc(f.all, func(a, b error) int { return a.(*FieldError).Line - b.(*FieldError).Line })
	return fmt.Errorf("%w: %w", ErrManifest, errors.Join(f.all...))
}

// maxFaults is how many faults are told. Who has made more has another kind of file.
const maxFaults = 20

func (f *faults) add(path, format string, args ...any) { f.addCause(nil, path, format, args...) }

// addCause does nothing if the same place, or what it lies in, has a fault already: the
// second would be a consequence of the first.
func (f *faults) addCause(cause error, path, format string, args ...any) {
	for at := path; at != ""; at = outer(at) {
		if f.told[at] && at != "$" {
			return
		}
	}
	f.told[path] = true
	if len(f.all) < maxFaults {
		f.all = append(f.all, &FieldError{Path: path, Line: f.lineOf(path), Problem: fmt.Sprintf(format, args...), Err: cause})
	}
}

// lineOf returns the line of a place or, if the text does not have it, of what it would
// be in.
func (f *faults) lineOf(path string) int {
	for path != "" {
		if line := f.lines[path]; line > 0 {
			return line
		}
		path = outer(path)
	}
	return 0
}

// outer returns the path of what a place lies in, "" for the whole.
func outer(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// quote returns text from a manifest as it is shown in an error.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		return fmt.Sprintf("%q… (%d bytes)", printable.Cut([]byte(text), most), len(text))
	}
	return fmt.Sprintf("%q", text)
}

// member returns the path of a member of an object.
func member(path, name string) string {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || c <= ' ' || strings.IndexByte(`."[]`, c) >= 0 {
			return path + "[" + quote(name) + "]"
		}
	}
	if name == "" {
		return path + `[""]`
	}
	return path + "." + name
}

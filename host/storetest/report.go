package storetest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Status is the outcome of a check.
type Status string

// The statuses.
const (
	Pass Status = "pass"
	Fail Status = "fail"
	Skip Status = "skip"
)

// Report is the outcome of all checks.
type Report struct {
	Target string `json:"target"`

	// Misuse says what is wrong with the options, or that there was nothing to
	// check. Nothing was run then, and the one counted failure is not the store's.
	Misuse string `json:"misuse,omitempty"`

	Seed    uint64   `json:"seed,string"`
	Results []Result `json:"results"`
	Passed  int      `json:"passed"`
	Failed  int      `json:"failed"`
	Skipped int      `json:"skipped"`

	// Records and Bytes are how much of either the checks asked for at once, if
	// the store does not hold as much as they would have liked; otherwise 0.
	Records int `json:"records,omitempty"`
	Bytes   int `json:"bytes,omitempty"`

	// Fuel is what the operations of a metered guest use. A store that is no guest has
	// none.
	Fuel []Fuel `json:"fuel,omitempty"`

	Duration time.Duration `json:"duration_ns"`
}

// Fuel is how much fuel some calls of one operation used, in units: the work of the
// guest, which is the same on every machine.
type Fuel struct {
	Operation string `json:"operation"`
	Calls     int    `json:"calls"`
	Median    uint64 `json:"median"`
	Most      uint64 `json:"most"`
}

// Result is the outcome of one check.
type Result struct {
	Name     string        `json:"name"`
	Section  string        `json:"section"`
	Requires string        `json:"requires"`
	Status   Status        `json:"status"`
	Reason   string        `json:"reason,omitempty"` // of a skip
	Failure  *Failure      `json:"failure,omitempty"`
	Duration time.Duration `json:"duration_ns"`
}

// Failure says how a check failed.
type Failure struct {
	// Calls are the calls, oldest first. If there were many, they are only the
	// last ones and those before them that concern the same key; Omitted says how
	// many are left out.
	Calls   []Call `json:"calls"`
	Omitted int    `json:"omitted,omitempty"`

	Found    string `json:"found"`
	Expected string `json:"expected"`
	Section  string `json:"section"` // of abi/SPEC.md

	// Seed repeats the failure with [Options.Seed].
	Seed uint64 `json:"seed,string"`
}

// Add appends a result and counts it.
func (r *Report) Add(result Result) {
	r.Results = append(r.Results, result)
	switch result.Status {
	case Pass:
		r.Passed++
	case Fail:
		r.Failed++
	default:
		r.Skipped++
	}
}

// Result returns the result of a check, or nil if it is not in the report.
func (r *Report) Result(name string) *Result {
	for i := range r.Results {
		if r.Results[i].Name == name {
			return &r.Results[i]
		}
	}
	return nil
}

// WriteJSON writes the report for machines.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// WriteText writes the report for people: failures in full, skips with their
// reasons, and how many passed in each group.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	if r.Misuse != "" {
		_, err := fmt.Fprintf(w, "%s\nFAIL: nothing was checked: %s\n", r.Target, indent(r.Misuse))
		return err
	}
	fmt.Fprintf(&b, "%s, seed %d\n", r.Target, r.Seed)
	if r.Records > 0 {
		fmt.Fprintf(&b, "some checks ask for %d records at once, since the store did not hold more\n", r.Records)
	}
	if r.Bytes > 0 {
		fmt.Fprintf(&b, "some checks ask for %d bytes at once, since the store did not hold more\n", r.Bytes)
	}
	for i := 0; i < len(r.Results); {
		group, passed := groupOf(r.Results[i].Name), 0
		var rest strings.Builder
		for ; i < len(r.Results) && groupOf(r.Results[i].Name) == group; i++ {
			switch r.Results[i].Status {
			case Pass:
				passed++
			case Fail:
				_ = r.Results[i].writeText(&rest)
			default:
				j := i + 1
				for j < len(r.Results) && r.Results[j].Status == Skip && r.Results[j].Reason == r.Results[i].Reason {
					j++
				}
				writeSkips(&rest, r.Results[i:j])
				i = j - 1
			}
		}
		if passed > 0 {
			fmt.Fprintf(&b, "pass  %-12s %d\n", group, passed)
		}
		b.WriteString(rest.String())
	}
	for _, f := range r.Fuel {
		f.writeText(&b)
	}
	verdict := "PASS"
	if r.Failed > 0 {
		verdict = "FAIL"
	}
	fmt.Fprintf(&b, "%s: %d passed, %d failed, %d skipped in %v\n", verdict, r.Passed, r.Failed, r.Skipped,
		r.Duration.Round(time.Millisecond))
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Fuel) writeText(b *strings.Builder) {
	fmt.Fprintf(b, "fuel  %-12s %d units", f.Operation, f.Median)
	if f.Calls > 1 {
		fmt.Fprintf(b, ", at most %d", f.Most)
	}
	b.WriteByte('\n')
}

// writeSkips writes one line for consecutive checks that were skipped for the same
// reason.
func writeSkips(b *strings.Builder, skipped []Result) {
	first, last := skipped[0].Name, skipped[len(skipped)-1].Name
	switch n := len(skipped); {
	case n == 1:
		fmt.Fprintf(b, "skip  %s: %s\n", first, skipped[0].Reason)
	case groupOf(first) == groupOf(last):
		fmt.Fprintf(b, "skip  %-12s %d: %s\n", groupOf(first), n, skipped[0].Reason)
	default:
		fmt.Fprintf(b, "skip  %d checks, %s to %s: %s\n", n, first, last, skipped[0].Reason)
	}
}

func groupOf(name string) string {
	group, _, _ := strings.Cut(name, "/")
	return group
}

func (r *Result) writeText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-5s %s", r.Status, r.Name)
	switch {
	case r.Status == Skip:
		fmt.Fprintf(&b, ": %s\n", r.Reason)
	case r.Failure == nil:
		b.WriteString("\n")
	default:
		b.WriteString("\n")
		r.Failure.writeText(&b, r.Requires)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Failure) writeText(b *strings.Builder, requires string) {
	fmt.Fprintf(b, "      SPEC.md, %s: %s\n", f.Section, requires)
	if len(f.Calls) > 0 {
		b.WriteString("      called")
		if f.Omitted > 0 {
			fmt.Fprintf(b, " (%d other calls are left out)", f.Omitted)
		}
		fmt.Fprintf(b, ", where T is %d:\n", Now)
		for _, c := range f.Calls {
			fmt.Fprintf(b, "        %s\n", c)
		}
	}
	fmt.Fprintf(b, "      found:    %s\n", indent(f.Found))
	fmt.Fprintf(b, "      expected: %s\n", indent(f.Expected))
	fmt.Fprintf(b, "      seed:     %d\n", f.Seed)
}

func indent(s string) string { return strings.ReplaceAll(s, "\n", "\n                ") }

package storetest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// misuse is the name of the check reported when nothing could be checked.
const misuse = "suite/options"

// Misused is the report of a suite that ran nothing, for a reason that is not the
// store's fault.
func Misused(target string, err error) *Report {
	r := &Report{Target: target, Misuse: err.Error(), Results: []Result{}}
	r.Add(Result{Name: misuse, Status: Fail, Requires: "there is something to check, and the options fit it",
		Failure: &Failure{Calls: []Call{}, Found: err.Error(), Expected: "options that fit"}})
	return r
}

// CheckPatterns returns an error that says which patterns of Only and Skip match
// none of the tests, and which names may have been meant.
func (o Options) CheckPatterns(tests []Test) error {
	for _, p := range slices.Concat(o.Only, o.Skip) {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("the pattern %q is not well formed: a %q begins a list of characters, which a %q ends", p, "[", "]")
		}
		if slices.ContainsFunc(tests, func(t Test) bool { return fitsName(p, t.Name) }) {
			continue
		}
		if near := nearNames(p, tests); len(near) > 0 {
			return fmt.Errorf("the pattern %q matches no check; perhaps %s was meant", p, strings.Join(near, " or "))
		}
		var groups []string
		for _, t := range tests {
			groups = append(groups, groupOf(t.Name))
		}
		return fmt.Errorf("the pattern %q matches no check: use the groups %s, the checks in them, and patterns such as %q",
			p, strings.Join(slices.Compact(groups), ", "), "expiry/*")
	}
	return nil
}

func fitsName(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok || pattern == groupOf(name)
}

// nearNames returns the names of groups and checks that are nearest to a misspelt
// one, at most three.
func nearNames(misspelt string, tests []Test) []string {
	var names []string
	for _, t := range tests {
		names = append(names, groupOf(t.Name), t.Name, path.Base(t.Name))
	}
	best := max(1, len(misspelt)/3)
	var near []string
	for i, name := range names {
		d := distance(misspelt, name)
		if i%3 == 2 {
			name = names[i-1] // by its second half alone
		}
		switch {
		case d > best || slices.Contains(near, name):
		case d < best:
			best, near = d, []string{name}
		case len(near) < 3:
			near = append(near, name)
		}
	}
	return near
}

// distance is how many letters must be inserted, left out, replaced or swapped
// with the next to turn one text into the other.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
				continue
			case a[i-1] == b[j-1]:
				rows[i][j] = rows[i-1][j-1]
			default:
				rows[i][j] = 1 + min(rows[i-1][j-1], rows[i-1][j], rows[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], 1+rows[i-2][j-2])
			}
		}
	}
	return rows[len(a)][len(b)]
}

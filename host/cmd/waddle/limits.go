package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/waddle-sessions/waddle/host/plugin"
)

// limitsFrom begins to watch which limits modules exceed. The returned function writes a line
// that says which and how often, unless there are none but those that are left out.
func limitsFrom(host *plugin.Host, out io.Writer, leaveOut ...plugin.Limit) func() {
	before := host.Stats().Limits
	return func() {
		after := host.Stats().Limits
		var says []string
		for _, l := range plugin.AllLimits() {
			if n := after[l] - before[l]; n > 0 && !slices.Contains(leaveOut, l) {
				says = append(says, fmt.Sprintf("%s %d", l, n))
			}
		}
		if len(says) > 0 {
			fmt.Fprintln(out, "waddle: limits that were exceeded, and how often:", strings.Join(says, ", "))
		}
	}
}

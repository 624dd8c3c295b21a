// Package promtest reads metrics in the text format of Prometheus, for tests.
package promtest

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Series are the samples of a text in the format of Prometheus, by name and labels.
type Series map[string]float64

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// Parse reads the text strictly, by what its specification says: each family is
// announced once, before its samples, which follow it together; each sample is there
// once, belongs to its family, and has a number; histograms are whole.
func Parse(t *testing.T, text string) (all Series, kinds map[string]string) {
	t.Helper()
	require.True(t, strings.HasSuffix(text, "\n"))
	all, kinds = make(Series), make(map[string]string)
	helped, family := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(rest, " ")
			require.Regexp(t, metricName, name)
			require.NotEmpty(t, help)
			require.NotContains(t, kinds, name, "announced twice")
			helped = name
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			require.Equal(t, helped, name)
			require.Contains(t, []string{"counter", "gauge", "histogram"}, kind)
			require.Equal(t, kind == "counter", strings.HasSuffix(name, "_total"), name)
			kinds[name], family = kind, name
			continue
		}
		name, labels, value := parseSample(t, line)
		of := name
		if kinds[family] == "histogram" {
			require.Contains(t, []string{"_bucket", "_sum", "_count"}, strings.TrimPrefix(name, family), line)
			of = family
		}
		require.Equal(t, family, of, "a sample outside its family: %s", line)
		key := name + labels
		if _, twice := all[key]; twice { // looked up: a map that is searched takes minutes
			require.FailNow(t, "twice", line)
		}
		all[key] = value
	}
	return all, kinds
}

func parseSample(t *testing.T, line string) (name, labels string, value float64) {
	t.Helper()
	end := strings.IndexAny(line, "{ ")
	require.Positive(t, end, line)
	name, rest := line[:end], line[end:]
	require.Regexp(t, metricName, name)
	if strings.HasPrefix(rest, "{") {
		rest = rest[1:]
		for {
			label, after, ok := strings.Cut(rest, `="`)
			require.True(t, ok, line)
			require.Regexp(t, labelName, label)
			text, n := "", 0
			for ; n < len(after) && after[n] != '"'; n++ {
				if after[n] == '\\' {
					n++
					require.Contains(t, `\"n`, string(after[n]), line)
				}
				text += string(after[n])
			}
			labels += fmt.Sprintf(" %s=%s", label, text)
			rest = after[n+1:]
			if strings.HasPrefix(rest, "}") {
				rest = rest[1:]
				break
			}
			require.True(t, strings.HasPrefix(rest, ","), line)
			rest = rest[1:]
		}
	}
	require.True(t, strings.HasPrefix(rest, " "), line)
	value, err := strconv.ParseFloat(rest[1:], 64)
	require.NoError(t, err, line)
	require.False(t, math.IsNaN(value) || math.IsInf(value, 0), line)
	return name, labels, value
}

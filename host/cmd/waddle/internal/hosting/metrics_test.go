package hosting

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// series are the samples of a text in the format of Prometheus, by name and labels.
type series map[string]float64

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// parseMetrics reads the text strictly, by what its specification says: each family is
// announced once, before its samples, which follow it together; each sample is there
// once, belongs to its family, and has a number; histograms are whole.
func parseMetrics(t *testing.T, text string) (all series, kinds map[string]string) {
	t.Helper()
	require.True(t, strings.HasSuffix(text, "\n"))
	all, kinds = make(series), make(map[string]string)
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

func TestMetrics(t *testing.T) {
	var l tenant.Latency
	l.Buckets[0], l.Buckets[7], l.Buckets[12], l.Buckets[26] = 1, 2, 3, 4
	l.Count, l.Sum = 10, 1500*time.Millisecond
	s := &Snapshot{
		Time: time.Now(), MaxTenants: 100, Modules: 2, Refused: 7,
		States:   map[tenant.State]int{tenant.StateServing: 1, tenant.StateAsleep: 1},
		Problems: []Problem{{File: "x.json", Error: "no"}},
		Tenants: []View{
			{Name: "alice", State: tenant.StateServing, Requests: 3, Calls: map[string]uint64{"get": 5, "set": 1}, Errors: map[string]uint64{"fuel": 2, "trap": 1},
				Limits: map[string]uint64{"fuel": 2}, Fuel: math.MaxUint64, Memory: 1 << 20, Records: 4, Restarts: 1, Deploys: 2, Failures: 1, latency: l},
			{Name: "quote\" back\\ line\n", State: tenant.StateAsleep, Records: -1},
		},
	}
	var b bytes.Buffer
	require.NoError(t, writeMetrics(&b, s))
	all, kinds := parseMetrics(t, b.String())
	want := series{
		"waddle_tenants state=serving":                                        1,
		"waddle_tenants_max":                                                  100,
		"waddle_modules":                                                      2,
		"waddle_manifest_problems":                                            1,
		"waddle_admin_refused_total":                                          7,
		"waddle_tenant_requests_total tenant=alice":                           3,
		"waddle_tenant_calls_total tenant=alice operation=get":                5,
		"waddle_tenant_errors_total tenant=alice kind=trap":                   1,
		"waddle_tenant_limits_total tenant=alice limit=fuel":                  2,
		"waddle_tenant_memory_bytes tenant=alice":                             1 << 20,
		"waddle_tenant_records tenant=alice":                                  4,
		"waddle_tenant_restarts_total tenant=alice":                           1,
		"waddle_tenant_deploys_total tenant=alice":                            2,
		"waddle_tenant_deploy_failures_total tenant=alice":                    1,
		"waddle_tenant_state tenant=alice state=serving":                      1,
		"waddle_tenant_state tenant=quote\" back\\ linen state=asleep":        1,
		"waddle_tenant_call_duration_seconds_count tenant=alice":              10,
		"waddle_tenant_call_duration_seconds_sum tenant=alice":                1.5,
		"waddle_tenant_call_duration_seconds_bucket tenant=alice le=6.4e-05":  1,
		"waddle_tenant_call_duration_seconds_bucket tenant=alice le=0.000256": 3,
		"waddle_tenant_call_duration_seconds_bucket tenant=alice le=0.004096": 6,
		"waddle_tenant_call_duration_seconds_bucket tenant=alice le=1.048576": 6,
		"waddle_tenant_call_duration_seconds_bucket tenant=alice le=+Inf":     10,
	}
	for key, want := range want {
		require.Contains(t, all, key)
		require.Equal(t, want, all[key], key)
	}
	require.NotContains(t, all, "waddle_tenant_records tenant=quote\" back\\ linen", "it does not tell")
	require.Equal(t, "histogram", kinds["waddle_tenant_call_duration_seconds"])

	// The histogram never falls.
	last := -1.0
	for _, b := range buckets {
		n := all["waddle_tenant_call_duration_seconds_bucket tenant=alice le="+seconds(l.Bound(b))]
		require.GreaterOrEqual(t, n, last)
		last = n
	}
}

// TestMetricsOfManyTenants: a scrape of ten thousand tenants stays below what a scraper
// takes. A thousand are written here, since a strict parser is slow.
func TestMetricsOfManyTenants(t *testing.T) {
	s := &Snapshot{MaxTenants: -1}
	for i := range 1000 {
		s.Tenants = append(s.Tenants, View{Name: fmt.Sprintf("tenant-%d", i), State: tenant.StateAsleep, Records: 1,
			Calls: map[string]uint64{"get": 1, "set": 1, "touch": 1, "delete": 1, "other": 1}})
	}
	var b bytes.Buffer
	require.NoError(t, writeMetrics(&b, s))
	require.Less(t, b.Len(), 32<<20/10)
	all, _ := parseMetrics(t, b.String())
	require.Greater(t, len(all), 20_000)
	require.NotContains(t, all, "waddle_tenants_max")
}

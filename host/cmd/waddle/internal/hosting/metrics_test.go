package hosting

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/promtext/promtest"
	"github.com/waddle-sessions/waddle/host/tenant"
)

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
	all, kinds := promtest.Parse(t, b.String())
	want := promtest.Series{
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
		n := all["waddle_tenant_call_duration_seconds_bucket tenant=alice le="+promtext.InSeconds(l.Bound(b))]
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
	all, _ := promtest.Parse(t, b.String())
	require.Greater(t, len(all), 20_000)
	require.NotContains(t, all, "waddle_tenants_max")
}

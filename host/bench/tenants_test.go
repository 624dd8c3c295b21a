package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var tinyTenants = tenantEffort{counts: []int{4, 6}, own: 5, sessions: 3, requests: 7, awake: 2, traffic: 50,
	plan: plan{rounds: 3, span: 500 * time.Microsecond}}

func TestTenants(t *testing.T) {
	r, err := runTenants(t.Context(), filepath.Join("..", "..", "examples", "guests"), tinyTenants)
	require.NoError(t, err)
	if len(r.NotShared) > 0 {
		require.NotEqual(t, "linux", runtime.GOOS)
		t.Skip(r.NotShared)
	}
	require.Len(t, r.Fleets, 2*2*len(tenantWays), "two guests, two counts")
	for _, f := range r.Fleets {
		want := []int{4, 6}
		if f.Way == string(wayOwn) {
			want = []int{4, 5}
		}
		require.Contains(t, want, f.Tenants)
		require.Equal(t, f.Tenants, f.New.Count)
		require.Positive(t, f.New.P50)
		require.NotNil(t, f.Asleep, f.Guest)
		require.Equal(t, f.Tenants, f.Wake.Count)
		require.Less(t, f.Asleep.Mappings, f.First.Mappings, "asleep there are no mappings")
		if f.Way == string(wayShared) {
			require.Equal(t, tinyTenants.traffic, f.Traffic.Count)
			require.Positive(t, f.Traffic.PerSecond)
		}
	}
	require.Len(t, r.Rows, 2*2*len(tenantWays))
	for _, row := range r.Rows {
		require.Positive(t, row.NS)
		require.Positive(t, row.costOnly())
	}

	data, err := json.Marshal(r)
	require.NoError(t, err)
	var read tenantsResult
	require.NoError(t, json.Unmarshal(data, &read))
	require.Equal(t, *r, read)

	var out bytes.Buffer
	table{&out}.tenants(r)
	for _, want := range []string{tenantGo, tenantC, "new", "asleep", "one request", "7 requests", "new, first answer", opTurns} {
		require.Contains(t, out.String(), want)
	}
}

// A tenant that answers with another's session, or with none, is found.
func TestFleetIsVerified(t *testing.T) {
	guests, err := tenantGuests(filepath.Join("..", "..", "examples", "guests"))
	require.NoError(t, err)
	for _, way := range tenantWays {
		f, err := newFleet(t.Context(), guests[1], way, 3, 2, 3)
		var not notShared
		if errors.As(err, &not) {
			continue
		}
		require.NoError(t, err)
		_, err = f.populate(t.Context())
		require.NoError(t, err)
		require.NoError(t, f.verify())
		f.tenants[0], f.tenants[1] = f.tenants[1], f.tenants[0]
		require.Error(t, f.verify())
		require.NoError(t, f.close(t.Context()))
	}
}

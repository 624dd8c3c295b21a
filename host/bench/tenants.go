package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/waddle-sessions/waddle/host/engines/memory"
)

// tenantEffort says how many tenants there are, each a plugin with a session manager
// of its own, and what they do.
type tenantEffort struct {
	counts   []int // of tenants, each measured by itself
	own      int   // at most so many have instances of their own
	sessions int   // of each tenant
	requests int   // to each tenant, until it counts as warm
	awake    int   // may be awake at once under the traffic
	traffic  int   // requests of the traffic over all
	plan     plan  // of the requests to tenants that are awake
}

// tenantsResult is what tenants cost.
type tenantsResult struct {
	Sessions int           `json:"sessions"` // of each tenant
	Requests int           `json:"requests"` // until a tenant counts as warm
	Awake    int           `json:"awake"`    // at once under the traffic
	Fleets   []fleetResult `json:"fleets"`
	Rows     []row         `json:"rows"` // requests to tenants that are awake
	// Switching is what a request takes longer if the one before was another tenant's,
	// in nanoseconds, by guest.
	Switching map[string]float64 `json:"switching_ns"`
	// NotShared is why there are no figures of a guest on shared executors, by guest.
	NotShared map[string]string `json:"not_shared"`
}

// tenantGuest is a module that tenants run.
type tenantGuest struct {
	name    string
	wasm    []byte
	trusted bool
}

const (
	tenantGo = "the bundled memory engine, in Go"
	tenantC  = "the guest in C"
)

func tenantGuests(dir string) ([]tenantGuest, error) {
	engine, err := memory.Module()
	if err != nil {
		return nil, err
	}
	c, err := os.ReadFile(filepath.Join(dir, "c", "store.wasm"))
	if err != nil {
		return nil, err
	}
	return []tenantGuest{{tenantGo, engine, true}, {tenantC, c, false}}, nil
}

// runTenants measures tenants in each way that there is to run them, in one process:
// the way that takes less first, so that what it leaves in the heap counts for nobody.
func runTenants(ctx context.Context, dir string, e tenantEffort) (*tenantsResult, error) {
	guests, err := tenantGuests(dir)
	if err != nil {
		return nil, err
	}
	result := &tenantsResult{Sessions: e.sessions, Requests: e.requests, Awake: e.awake, Switching: map[string]float64{}, NotShared: map[string]string{}}
	for _, guest := range guests {
		for _, way := range tenantWays {
			done := map[int]bool{}
			for _, n := range e.counts {
				if way == wayOwn {
					n = min(n, e.own)
				}
				if done[n] {
					continue
				}
				done[n] = true
				r, err := runFleet(ctx, guest, way, n, e)
				var not notShared
				if errors.As(err, &not) {
					result.NotShared[guest.name] = string(not)
					break
				}
				if err != nil {
					return nil, fmt.Errorf("%d tenants of %s, %s: %w", n, guest.name, way, err)
				}
				result.Fleets = append(result.Fleets, *r)
			}
		}
		rows, switching, err := runAwake(ctx, guest, e)
		if err != nil {
			return nil, fmt.Errorf("requests to tenants of %s: %w", guest.name, err)
		}
		result.Rows = append(result.Rows, rows...)
		if switching != nil {
			result.Switching[guest.name] = *switching
		}
	}
	return result, nil
}

package main

import (
	"context"
	"errors"
)

// inTurn is how many tenants are asked in turn.
const inTurn = 16

// Operations of the rows of tenants that are awake.
const (
	opSame  = "a request to the same tenant"
	opTurns = "a request to one of 16 tenants in turn"
)

// runAwake measures requests to tenants that are awake, in every way, on one core. It
// returns nil for switching if there is nothing to switch.
func runAwake(ctx context.Context, g tenantGuest, e tenantEffort) (_ []row, switching *float64, err error) {
	var cells []cell
	var fleets []*fleet
	defer func() {
		for _, f := range fleets {
			err = errors.Join(err, f.close(ctx))
		}
	}()
	for _, way := range tenantWays {
		f, err := newFleet(ctx, g, way, inTurn, e.sessions, inTurn)
		var not notShared
		if errors.As(err, &not) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		fleets = append(fleets, f)
		if _, err := f.populate(ctx); err != nil {
			return nil, nil, err
		}
		for op, tenants := range map[string]int{opSame: 1, opTurns: inTurn} {
			at := 0
			cells = append(cells, cell{cellName: cellName{Subject: tenantSubject(g.name, way), Operation: op, Cores: 1}, workers: 1, run: func(_, n int) {
				for range n {
					at++
					f.aim(at%tenants, at/tenants%e.sessions)
					f.request(at%tenants, opRead)
				}
			}})
		}
	}
	measured, err := measure(cells, e.plan)
	if err != nil {
		return nil, nil, err
	}
	all := results(measured)
	for _, f := range fleets {
		if err := f.verify(); err != nil {
			return nil, nil, err
		}
	}
	shared, turns := all.find(tenantSubject(g.name, wayShared), opSame, 1), all.find(tenantSubject(g.name, wayShared), opTurns, 1)
	if shared != nil && turns != nil {
		more := median(differences(turns, shared))
		switching = &more
	}
	return all.rows(tenantSubject(g.name, wayOwn)), switching, nil
}

func tenantSubject(guest string, way tenantWay) string { return guest + ", " + string(way) }

// differences are those of two cells, round by round, in processor time if it is known.
func differences(of, from *samples) []float64 {
	a, b := of.cpu, from.cpu
	if median(b) == 0 {
		a, b = of.ns, from.ns
	}
	d := make([]float64, min(len(a), len(b)))
	for i := range d {
		d[i] = a[i] - b[i]
	}
	return d
}

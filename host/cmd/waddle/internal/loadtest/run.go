package loadtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waddle-sessions/waddle/host/store"
)

// The largest number of stored records, and of their bytes.
const (
	maxRecords = 10_000
	maxBytes   = 64 << 20
)

// Run measures. A cancelled context ends it at once: the report then has the
// results so far and says that it was interrupted. An error means that a store
// could not be opened or filled; the report has the results before that.
func Run(ctx context.Context, plan Plan) (*Report, error) {
	r := &runner{plan: &plan, report: newReport(&plan)}
	r.total = len(plan.Shards) * len(plan.ValueSizes) * len(plan.Concurrency) * len(plan.Operations) * plan.Rounds
	for _, shards := range plan.Shards {
		if err := r.shards(ctx, shards); err != nil {
			if ctx.Err() != nil {
				break
			}
			return r.report, err
		}
	}
	r.report.Interrupted = ctx.Err() != nil
	return r.report, nil
}

type runner struct {
	plan        *Plan
	report      *Report
	done, total int
}

// shards measures everything with one number of shards.
func (r *runner) shards(ctx context.Context, shards int) (err error) {
	var open, metered []Opened
	defer func() {
		for _, o := range slices.Concat(open, metered) {
			if closing := o.Close(); err == nil && ctx.Err() == nil {
				err = closing
			}
		}
	}()
	for _, t := range r.plan.Targets {
		o, err := t.Open(ctx, shards)
		if err != nil {
			return err
		}
		open = append(open, o)
	}
	tells := slices.Clone(open) // which of the stores tell the fuel
	names := make([]string, len(open))
	for i, t := range r.plan.Targets {
		names[i] = t.Name
		if open[i].Fuel == nil && t.OpenMetered != nil {
			if tells[i], err = t.OpenMetered(ctx, shards); err != nil {
				return err
			}
			metered = append(metered, tells[i])
			names = append(names, t.Name)
		}
	}
	all := slices.Concat(open, metered)
	for _, size := range r.plan.ValueSizes {
		records, skipped, err := r.fill(ctx, all, names, size)
		if err != nil {
			return err
		}
		for _, workers := range r.plan.Concurrency {
			for _, op := range r.plan.Operations {
				figure := Figure{Operation: op, ValueSize: size, Shards: shards, Concurrency: workers,
					Records: len(records), Skipped: skipped, Results: []Result{}}
				if skipped == "" && len(records) < workers {
					figure.Skipped = fmt.Sprintf("there is room for only %d records: must be one for each of %d workers", len(records), workers)
				}
				if figure.Skipped == "" {
					r.measure(ctx, &figure, open, records)
					for i := range figure.Results {
						figure.Results[i].Fuel = fuelOf(ctx, &figure, tells[i], records)
					}
				} else {
					r.done += r.plan.Rounds
				}
				if ctx.Err() != nil {
					if len(figure.Results) > 0 && len(figure.Results[0].Rounds) > 0 {
						r.report.Figures = append(r.report.Figures, figure)
					}
					return ctx.Err()
				}
				r.report.Figures = append(r.report.Figures, figure)
			}
		}
	}
	return nil
}

// fill stores records in all stores, which have these names, and returns the keys that
// all of them accepted, or why there are none.
func (r *runner) fill(ctx context.Context, open []Opened, names []string, size int) (keys [][]byte, skipped string, err error) {
	count := max(min(maxRecords, maxBytes/size), 1)
	for i := range count {
		key := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
		keys = append(keys, key[:])
	}
	value := make([]byte, size)
	now := store.At(time.Now())
	for i, o := range open {
		name := names[i]
		if size > o.MaxValue {
			return nil, fmt.Sprintf("%s takes values up to %d bytes", name, o.MaxValue), nil
		}
		if err := store.Clear(ctx, o.Store, now); err != nil {
			return nil, "", fmt.Errorf("clearing %s: %w", name, err)
		}
		for n, key := range keys {
			binary.LittleEndian.PutUint64(value, 1)
			err := o.Store.Set(ctx, store.Write{Key: key, Value: value, Now: now, Expires: now + lifetime, Expect: store.Any})
			if errors.Is(err, store.ErrNoSpace) {
				// Leave a margin for what a log or an allocator needs when the
				// records are written again.
				keys = keys[:n*3/4]
				break
			}
			if err != nil {
				return nil, "", fmt.Errorf("storing record %d of %d bytes in %s: %w", n+1, size, name, err)
			}
		}
		if len(keys) == 0 {
			return nil, fmt.Sprintf("%s has no room for a value of %d bytes", name, size), nil
		}
	}
	return keys, "", nil
}

// lifetime of a record in milliseconds.
const lifetime = 3_600_000

// measure runs the rounds of one figure. All targets run in each round, and each
// round begins with the next target.
func (r *runner) measure(ctx context.Context, figure *Figure, open []Opened, keys [][]byte) {
	crews := make([]*crew, len(open))
	for i, o := range open {
		crews[i] = newCrew(o.Store, figure, keys)
		figure.Results = append(figure.Results, Result{Target: r.plan.Targets[i].Name, Shards: o.Shards, Rounds: []float64{}})
	}
	slice := r.plan.Duration / time.Duration(r.plan.Rounds)
	for _, c := range crews { // warm up caches, pages and code
		c.round(ctx, slice/4, false)
	}
	for n := range r.plan.Rounds {
		if r.plan.Progress != nil {
			r.plan.Progress(r.done, r.total, *figure)
		}
		rates := make([]float64, len(crews))
		for i := range crews {
			at := (i + n) % len(crews)
			rates[at] = crews[at].round(ctx, slice, true)
			if ctx.Err() != nil {
				break // an incomplete round does not count
			}
		}
		if ctx.Err() != nil {
			break
		}
		for i, rate := range rates {
			figure.Results[i].Rounds = append(figure.Results[i].Rounds, rate)
		}
		r.done++
	}
	for i, c := range crews {
		c.sum(&figure.Results[i])
	}
	figure.Ratio = ratioOf(figure.Results)
}

func ratioOf(results []Result) *Ratio {
	if len(results) < 2 || results[0].Errors+results[1].Errors > 0 {
		return nil
	}
	var all []float64
	for i, other := range results[1].Rounds {
		if other == 0 {
			return nil
		}
		all = append(all, results[0].Rounds[i]/other)
	}
	if len(all) == 0 {
		return nil
	}
	ratio := &Ratio{median(all), all[0], all[0]}
	for _, v := range all {
		ratio.Least, ratio.Most = min(ratio.Least, v), max(ratio.Most, v)
	}
	return ratio
}

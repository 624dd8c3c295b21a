package guesttest_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// teller is a ledger that takes batches, with faults.
type teller struct {
	ledger
	forgetful, stale, short, longer bool
}

func (e *teller) Batch(b *guest.Batch) error {
	for n := range b.Len() {
		op := *b.Op(n)
		if e.short && n == 3 {
			break
		}
		switch op.Kind {
		case guest.BatchGet:
			value, err := e.Get(op.Key, op.Now)
			if e.longer {
				value = append(bytes.Clone(value), 0)
			}
			b.Answer(value, err)
		case guest.BatchSet:
			if e.stale {
				op.Expect = 0
			}
			b.Answer(nil, e.Set(op.Write))
		case guest.BatchDelete:
			b.Answer(nil, e.Delete(op.Key, op.Now))
		case guest.BatchTouch:
			if e.forgetful {
				op.Expires = 0
			}
			b.Answer(nil, e.Touch(op.Key, op.Expires, op.Now))
		}
	}
	return nil
}

func TestEngineWithBatches(t *testing.T) {
	guesttest.Run(t, func() guest.Engine { return new(teller) }, ledgerInfo, guesttest.Options{Options: storetest.Options{Soak: 5000}})
}

func TestBatchesThatDiffer(t *testing.T) {
	for want, engine := range map[string]func() guest.Engine{
		"":                 func() guest.Engine { return new(teller) },
		"set of":           func() guest.Engine { return &teller{stale: true} },
		"get":              func() guest.Engine { return &teller{forgetful: true} },
		"get: success":     func() guest.Engine { return &teller{longer: true} },
		"INTERNAL":         func() guest.Engine { return &teller{short: true} },
		"no guest.Batcher": func() guest.Engine { return new(ledger) },
	} {
		open := func(ctx context.Context, setup storetest.Setup) (store.Store, error) {
			return guesttest.Open(ctx, func(string) guest.Engine { return engine() }, ledgerInfo, nil, setup)
		}
		report := storetest.Check(ctx, open, storetest.Options{Only: []string{"batch/as-alone"}, Seed: 1, Dir: t.TempDir(),
			More: []storetest.Test{guesttest.Batches(func(string) guest.Engine { return engine() }, ledgerInfo, func(string) map[string]string { return nil })}})
		r := report.Result("batch/as-alone")
		switch {
		case want == "":
			require.Equal(t, storetest.Pass, r.Status, "%+v", r.Failure)
		case strings.HasPrefix(want, "no "):
			require.Equal(t, storetest.Skip, r.Status)
			require.Contains(t, r.Reason, want)
		default:
			require.Equal(t, storetest.Fail, r.Status, want)
			require.Contains(t, r.Failure.Found, want)
		}
	}
}

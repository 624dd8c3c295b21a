package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var tinyFiles = filesEffort{
	unsynced: plan{rounds: 1, span: time.Millisecond},
	synced:   plan{rounds: 1, span: time.Millisecond},
	second:   plan{rounds: 1, span: 10 * time.Millisecond},
	requests: plan{rounds: 1, span: time.Millisecond},
	crowd:    crowd{records: 2000, slices: 1, span: 100 * time.Millisecond},
}

// checkFiles requires every case to be in the result, in each of its operations, with
// what it is compared to.
func checkFiles(t *testing.T, r *filesResult) {
	require.NotEmpty(t, r.Filesystem)
	find := func(rows []row, subject, op string) row {
		for _, row := range rows {
			if row.Subject == subject && row.Operation == op {
				require.Positive(t, row.NS, "%s %s", subject, op)
				return row
			}
		}
		t.Fatalf("there is no row %q, %q", subject, op)
		return row{}
	}
	for _, c := range recordCases(fileEngines) {
		for _, op := range c.ops {
			found := find(r.Records, c.subject, op)
			require.Positive(t, found.Ratios[nameBareAppends])
			require.Positive(t, found.Ratios[nameBareFiles])
			require.Equal(t, op == opUnsynced, found.Ratios[nameGorillaFiles] > 0, "gorilla syncs nothing")
		}
		if c.reads != "" {
			require.Positive(t, find(r.Records, c.reads, opFetch).Ratios[nameGorillaFiles])
		}
	}
	for _, p := range filePeers(fileEngines) {
		for _, op := range []operation{opRead, opWrite} {
			require.Positive(t, find(r.Requests, p.name, op.String()).Ratios[nameGorillaFiles])
		}
	}
	require.Len(t, r.Waits, len(fileEngines))
	for _, w := range r.Waits {
		require.Positive(t, w.FirstSave)
		for _, l := range []latency{w.Alone, w.AtSaves, w.AtSweep} {
			require.Positive(t, l.Operations)
		}
	}
	require.Len(t, r.Crowds, len(fileEngines))
	for i, c := range r.Crowds {
		require.Equal(t, fileEngines[i].name, c.Engine)
		require.Equal(t, fileEngines[i].crowd(2000), c.Records)
		require.Equal(t, uint64(c.Records), c.Fill.Operations)
		require.GreaterOrEqual(t, len(c.Openings), 2)
		require.Greater(t, c.Length, int64(c.Records*valueSize))
		require.Positive(t, c.Memory)
		for _, l := range []latency{c.Load, c.Bare, c.Noise} {
			require.Positive(t, l.Operations)
		}
	}
}

// What an engine does beside the load is in nobody's figures but its own.
func TestWaitsAreThoseOfTheirTime(t *testing.T) {
	l := &load{ctx: t.Context(), store: nothing{}, mix: mixServing, present: make([]bool, 100)}
	var alone, beside recorder
	require.NoError(t, l.beside(2, &alone, func() error { time.Sleep(5 * time.Millisecond); return nil }))
	require.NoError(t, l.beside(2, &beside, until(5*time.Millisecond, func() error { return nil })))
	require.Positive(t, alone.latency().Operations)
	require.Positive(t, beside.latency().Operations)
	require.ErrorIs(t, l.beside(1, &alone, func() error { return errFaulty }), errFaulty)
	require.ErrorIs(t, until(time.Hour, func() error { return errFaulty })(), errFaulty)
	require.Equal(t, time.Second, waitsResult{Records: 40_000, FirstSave: 4 * time.Second}.perTenThousand())
}

// A load of writes is run to see space freed, and hints exist to speed up opening: both
// happen, here with files that are small enough.
func TestFileCrowdGivesSpaceBack(t *testing.T) {
	e := fileEngines[0]
	e.settings = map[string]string{"segment_bytes": "65536"}
	scratch := t.TempDir()
	e.code = filepath.Join(scratch, "code")
	dir := filepath.Join(scratch, "engine")
	r, err := runFileCrowd(context.Background(), e, crowd{records: 3000, slices: 3, span: 200 * time.Millisecond}, dir)
	require.NoError(t, err)
	require.Equal(t, openWithoutHint, r.Openings[len(r.Openings)-1].What)
	require.Positive(t, r.Removed)
}

// A crowd can be smaller than the number of goroutines that load it.
func TestFileCrowdOfFew(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	e := fileEngines[0]
	scratch := t.TempDir()
	e.code = filepath.Join(scratch, "code")
	r, err := runFileCrowd(context.Background(), e, crowd{records: 3, slices: 1, span: 20 * time.Millisecond}, filepath.Join(scratch, "engine"))
	require.NoError(t, err)
	require.Equal(t, 3, r.Records)
}

// faultyRecords loses or changes a record, or fails.
type faultyRecords struct {
	recordStore
	lose, change, fail int
	old                []byte
}

var errFaulty = errors.New("made to fail")

func (f *faultyRecords) set(i int, value []byte) error {
	switch i {
	case f.fail:
		return errFaulty
	case f.lose:
		if f.old != nil {
			return nil
		}
		f.old = bytes.Clone(value)
	}
	return f.recordStore.set(i, value)
}

func (f *faultyRecords) get(i int) ([]byte, error) {
	value, err := f.recordStore.get(i)
	if i == f.change && err == nil {
		value[200] ^= 1
	}
	return value, err
}

func TestRecordsFindFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		store faultyRecords
		want  string
	}{
		{"a write is lost", faultyRecords{lose: 17, change: -1, fail: -1}, "record 17 is not as it was last written"},
		{"a bit changes", faultyRecords{lose: -1, change: 18, fail: -1}, "record 18 is not as it was last written"},
		{"an error", faultyRecords{lose: -1, change: -1, fail: 19}, "made to fail"},
		{"none", faultyRecords{lose: -1, change: -1, fail: -1}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			inner, err := openAppends(false)(context.Background(), dir)
			require.NoError(t, err)
			defer inner.close()
			fail := c.store.fail
			c.store.recordStore, c.store.fail = inner, -1
			s := newRecordSubject(c.name, &c.store, syncedKeys)
			require.NoError(t, s.fillUnverified())
			c.store.fail = fail
			s.cell(opUnsynced, s.set, 1, 1, dir).run(0, 2*syncedKeys)
			if c.want == "" {
				require.NoError(t, s.verify())
			} else {
				require.ErrorContains(t, s.verify(), c.want)
			}
		})
	}
}

// Writers share the records without two writing one, whatever the numbers are.
func TestWritersHaveTheirOwnRecords(t *testing.T) {
	for _, workers := range []int{1, 3, manyWriters} {
		s := newRecordSubject("", nil, syncedKeys)
		seen := make([]int, syncedKeys)
		for w := range workers {
			mine := map[int]bool{}
			s.run(func(i int) error { mine[i] = true; return nil }, w, workers, 2*syncedKeys)
			for i := range mine {
				seen[i]++
			}
		}
		for i, n := range seen {
			require.Equal(t, 1, n, "record %d of %d workers", i, workers)
		}
	}
}

func TestSustainEndsEachRound(t *testing.T) {
	ran, ended := 0, 0
	c := cell{cellName: cellName{Cores: 1}, workers: 1, run: func(_, n int) { ran += n; time.Sleep(100 * time.Microsecond) },
		settle: func() { ended++; time.Sleep(20 * time.Millisecond) }}
	result, err := sustain([]cell{c}, plan{rounds: 3, span: 2 * time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, 3, ended)
	require.Len(t, result[0].ns, 3)
	require.Greater(t, median(result[0].ns)*float64(ran)/3, 20e6*0.5, "what ends a round is in its time")
}

func TestDiskUse(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "below"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), make([]byte, 100), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "below", "b"), make([]byte, 23), 0o600))
	length, _, err := diskUse(dir)
	require.NoError(t, err)
	require.EqualValues(t, 123, length)
	_, err = cool(dir)
	require.NoError(t, err)
	names, err := filesLike(dir, "b*")
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "below", "b")}, names)
}

func TestScratchDir(t *testing.T) {
	parent := t.TempDir()
	dir, _, err := scratchDir(parent)
	require.NoError(t, err)
	require.Equal(t, parent, filepath.Dir(dir))
	require.NoError(t, os.Remove(dir))
	_, _, err = scratchDir(filepath.Join(parent, "absent"))
	require.Error(t, err)
	dir, _, err = scratchDir("")
	require.NoError(t, err)
	require.NoError(t, os.Remove(dir))
}

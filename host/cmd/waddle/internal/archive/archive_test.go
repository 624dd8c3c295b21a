package archive_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/archive"
	"github.com/waddle-sessions/waddle/host/store"
)

var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func someRecords() (all []store.Record) {
	for n, size := range []int{0, 8, 300, 3 << 20, 100} {
		all = append(all, store.Record{Key: []byte(strings.Repeat("k", n+1)), Value: bytes.Repeat([]byte{byte(n + 1)}, size), Expires: store.Millis(n)})
	}
	return all
}

func backup(t testing.TB, records ...store.Record) []byte {
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, archive.Manifest{Engine: "dynfile", Layout: 1, Shards: 4, Begun: begun})
	require.NoError(t, err)
	for _, r := range records {
		require.NoError(t, w.Add(r))
	}
	end, err := w.Close(0, begun)
	require.NoError(t, err)
	require.EqualValues(t, len(records), end.Records)
	return b.Bytes()
}

func read(b []byte) (m archive.Manifest, end archive.End, records []store.Record, err error) {
	r, err := archive.NewReader(bytes.NewReader(b))
	if err != nil {
		return m, end, nil, err
	}
	end, err = r.Records(func(r store.Record) error {
		records = append(records, store.Record{Key: slices.Clone(r.Key), Value: append([]byte{}, r.Value...), Expires: r.Expires})
		return nil
	})
	return r.Manifest, end, records, err
}

func TestArchive(t *testing.T) {
	for _, want := range [][]store.Record{nil, someRecords()} {
		m, end, got, err := read(backup(t, want...))
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, archive.Manifest{Form: archive.Form, Version: 1, Engine: "dynfile", Layout: 1, Shards: 4, Begun: begun}, m)
		require.EqualValues(t, len(want), end.Records)
	}
	stop := errors.New("stop")
	r, err := archive.NewReader(bytes.NewReader(backup(t, someRecords()...)))
	require.NoError(t, err)
	_, err = r.Records(func(store.Record) error { return stop })
	require.ErrorIs(t, err, stop)
}

// TestDamageIsFound: a backup that was cut short or changed anywhere is refused, or what
// was changed says nothing of records.
func TestDamageIsFound(t *testing.T) {
	records := someRecords()
	records[3].Value = records[3].Value[:5000]
	whole := backup(t, records...)
	for at := range whole {
		_, _, _, err := read(whole[:at])
		require.ErrorIs(t, err, archive.ErrDamaged, "cut at %d", at)
		b := slices.Clone(whole)
		b[at] ^= 0x11
		_, _, got, err := read(b)
		if err == nil {
			require.Less(t, at, 10, "only the head of a gzip file has bytes that nobody uses")
			require.Equal(t, records, got)
			continue
		}
		require.ErrorIs(t, err, archive.ErrDamaged, "changed at %d", at)
	}
	for name, b := range map[string][]byte{
		"twice":     append(slices.Clone(whole), whole...),
		"more":      append(slices.Clone(whole), "more"...),
		"no backup": []byte("hello"),
		"empty":     nil,
	} {
		_, _, _, err := read(b)
		require.ErrorIs(t, err, archive.ErrDamaged, name)
	}
	_, _, _, err := read(whole[:len(whole)/2])
	require.ErrorContains(t, err, "cut short")
}

// TestFailureToReadIsNotDamage: a disk that fails says nothing about the backup.
func TestFailureToReadIsNotDamage(t *testing.T) {
	failed := errors.New("input/output error")
	whole := backup(t, someRecords()...)
	r, err := archive.NewReader(io.MultiReader(bytes.NewReader(whole[:2000]), failing{failed}))
	require.NoError(t, err)
	_, err = r.Records(func(store.Record) error { return nil })
	require.ErrorIs(t, err, failed)
	require.NotErrorIs(t, err, archive.ErrDamaged)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzReader: whatever bytes come, the reader ends, and what it takes for whole can be written
// again.
func FuzzReader(f *testing.F) {
	f.Add(backup(f))
	f.Add(backup(f, someRecords()[:3]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, end, records, err := read(b)
		if err != nil {
			require.ErrorIs(t, err, archive.ErrDamaged)
			return
		}
		require.EqualValues(t, len(records), end.Records)
		_, _, again, err := read(backup(t, records...))
		require.NoError(t, err)
		require.Equal(t, records, again)
	})
}

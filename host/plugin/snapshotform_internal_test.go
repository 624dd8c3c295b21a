package plugin

import (
	"bytes"
	"context"
	stdflag "flag"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/snapshotfile"
	"github.com/waddle-sessions/waddle/host/store"
)

var newSnapshot = stdflag.String("stored", "", "keep a snapshot as this code writes it: make testdata/stored/VERSION.snapshot")

// snapshotRecords are of many sizes, one of them larger than a block, in an order that
// the file keeps: the later of two records under a key counts.
func snapshotRecords() []store.Record {
	value := func(revision, size int) []byte {
		return append([]byte{byte(revision), 0, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{byte(revision)}, size)...)
	}
	return []store.Record{
		{Key: []byte("a"), Value: value(1, 0), Expires: 0},
		{Key: bytes.Repeat([]byte("key"), 100), Value: value(2, 100), Expires: 1 << 42},
		{Key: []byte{0, 0xff}, Value: value(3, snapshotfile.BlockSize+10), Expires: 1 << 42},
		{Key: []byte("a"), Value: value(4, 20), Expires: 1<<42 + 1},
		{Key: []byte("empty"), Value: []byte{}, Expires: 0},
	}
}

// TestSnapshotForm: snapshots that earlier versions wrote are read, and today's code
// writes the same bytes as the newest of them. To keep one of a new version:
// go test -run TestSnapshotForm -stored v0.2.0. One that is kept stays as it is.
func TestSnapshotForm(t *testing.T) {
	s := &snapshots{dir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	w, err := s.Begin(true)
	require.NoError(t, err)
	for _, r := range snapshotRecords() {
		require.True(t, w.Add(abi.AppendRecord(nil, r.Key, r.Value, int64(r.Expires))))
	}
	require.NoError(t, w.Finish(nil, nil))
	written, err := os.ReadFile(s.path())
	require.NoError(t, err)
	if *newSnapshot != "" {
		file := filepath.Join("testdata", "stored", *newSnapshot+".snapshot")
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		require.NoError(t, err)
		_, err = f.Write(written)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}

	files, err := filepath.Glob("testdata/stored/*.snapshot")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for i, file := range files {
		kept, err := os.ReadFile(file)
		require.NoError(t, err)
		if i == len(files)-1 {
			require.True(t, bytes.Equal(kept, written), "the form of snapshots is another: %s", file)
		}
		r := bytes.NewReader(kept)
		_, ok := snapshotfile.ReadHeader(r)
		require.True(t, ok)
		var got []store.Record
		for record, err := range snapshotfile.Records(r) {
			require.NoError(t, err)
			got = append(got, record)
		}
		require.Equal(t, snapshotRecords(), got)

		// And by a guest.
		wasm, err := os.ReadFile("../storetest/plugintest/testdata/mutants/wasm/base.wasm")
		require.NoError(t, err)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "sessions.snapshot"), kept, 0o600))
		p, err := Open(context.Background(), wasm, Config{Snapshots: dir, Shards: 2, NoCache: true, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		value, err := p.Get(context.Background(), []byte("a"), 1)
		require.NoError(t, err)
		require.Equal(t, snapshotRecords()[3].Value, value)
		require.NoError(t, p.Close(context.Background()))
	}
}

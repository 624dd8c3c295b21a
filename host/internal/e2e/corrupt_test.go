package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
)

// spoil changes a byte in the value of a record of fill, in whatever file it is.
func spoil(t *testing.T, dir string, i int) {
	t.Helper()
	text := value(i)[8:40]
	spoilt := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, text) {
			return err
		}
		spoilt++
		b[bytes.Index(b, text)+3] ^= 0x40
		return os.WriteFile(path, b, 0o600)
	}))
	require.Positive(t, spoilt)
}

// TestRecordThatCannotBeRead: reading a session that the disk has damaged is an
// error. It can still be ended and overwritten, and harms no other session.
func TestRecordThatCannotBeRead(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		const n = 20
		for way, remove := range map[string]func(p *plugin.Plugin, key []byte) error{
			"delete": func(p *plugin.Plugin, key []byte) error { return p.Delete(ctx, key, 1) },
			"overwrite": func(p *plugin.Plugin, key []byte) error {
				return p.Set(ctx, store.Write{Key: key, Value: value(7), Now: 1})
			},
			"write that removes": func(p *plugin.Plugin, key []byte) error {
				return p.Set(ctx, store.Write{Key: key, Value: value(7), Expires: 1, Now: 1})
			},
			"create": func(p *plugin.Plugin, key []byte) error {
				err := p.Set(ctx, store.Write{Key: key, Value: value(7), Now: 1, Expect: store.Absent})
				if errors.Is(err, store.ErrCorrupt) {
					err = p.Set(ctx, store.Write{Key: key, Value: value(7), Now: 1})
				}
				return err
			},
			"clear": func(p *plugin.Plugin, key []byte) error { return p.Clear(ctx, 1) },
		} {
			t.Run(way, func(t *testing.T) {
				dir := t.TempDir()
				config := quiet()
				config.Shards = 1
				p := open(t, name, dir, config)
				fill(t, p, n)
				require.NoError(t, p.Close(ctx))
				spoil(t, dir, 7)

				p = open(t, name, dir, config)
				_, err := p.Get(ctx, key(7), 1)
				require.ErrorIs(t, err, store.ErrCorrupt)
				err = p.Set(ctx, store.Write{Key: key(7), Value: value(7), Now: 1, Expect: 1})
				require.True(t, errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrConflict), "%v", err)
				err = p.Touch(ctx, key(7), 100, 1)
				require.True(t, errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNotFound), "%v", err)
				records := 0
				for r, err := range p.Snapshot(ctx, 1) {
					require.NoError(t, err)
					require.NotEqual(t, key(7), r.Key)
					records++
				}
				require.Equal(t, n-1, records, "an enumeration leaves it out")
				require.Equal(t, n-1, held(t, p, n))

				require.NoError(t, remove(p, key(7)))
				want := map[string]int{"delete": n - 1, "overwrite": n, "create": n, "write that removes": n - 1, "clear": 0}[way]
				for range 2 {
					_, err = p.Get(ctx, key(7), 1)
					if want == n {
						require.NoError(t, err)
					} else {
						require.ErrorIs(t, err, store.ErrNotFound)
					}
					require.Equal(t, want, held(t, p, n))
					require.NoError(t, p.Close(ctx))
					p = open(t, name, dir, config)
				}
				require.NoError(t, p.Set(ctx, store.Write{Key: key(7), Value: value(7), Now: 1}))
				require.Zero(t, p.Stats().Restarts)
			})
		}
	})
}

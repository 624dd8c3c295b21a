package sessiondir_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/archive"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/sessiondir"
	"github.com/waddle-sessions/waddle/host/store"
)

// TestARenewedSessionIsInABackup: a session that gets a key of another shard while a backup goes
// on, is there under one of its keys, or both.
func TestARenewedSessionIsInABackup(t *testing.T) {
	for _, engine := range []string{"dynfile", "keyfolder"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := openEngine(t, engine, dir)
			set := func(n int) error {
				return p.Set(t.Context(), store.Write{Key: key(n), Value: value(n, 1), Now: 1, Expect: store.Any})
			}
			// The old key has the shard that is read last, the new one that which is read
			// first.
			var olds, news []int
			for n := 0; len(olds) < 40 || len(news) < 40; n++ {
				if abi.ShardOf(key(n), 2) == 1 {
					olds = append(olds, n)
				} else {
					news = append(news, n)
				}
			}
			olds, news = olds[:40], news[:40]
			for round := range 6 {
				for i := range olds {
					require.NoError(t, set(olds[i]))
					require.NoError(t, p.Delete(t.Context(), key(news[i]), 1))
				}
				renewed := make(chan error)
				go func() {
					renewed <- func() error {
						for i := range olds {
							time.Sleep(time.Duration(round*50) * time.Microsecond)
							if err := set(news[i]); err != nil {
								return err
							}
							if err := p.Delete(t.Context(), key(olds[i]), 1); err != nil {
								return err
							}
						}
						return nil
					}()
				}()
				var b bytes.Buffer
				_, _, err := sessiondir.Backup(t.Context(), recognised(t, dir), &b, "test", now())
				require.NoError(t, err)
				require.NoError(t, <-renewed)
				found := make(map[string]bool)
				r, err := archive.NewReader(&b)
				require.NoError(t, err)
				_, err = r.Records(func(r store.Record) error {
					require.False(t, found[string(r.Key)], "it is there twice")
					found[string(r.Key)] = true
					return nil
				})
				require.NoError(t, err)
				for i := range olds {
					require.True(t, found[string(key(olds[i]))] || found[string(key(news[i]))], "round %d, session %d is lost", round, i)
				}
			}
			require.NoError(t, p.Close(t.Context()))
		})
	}
}

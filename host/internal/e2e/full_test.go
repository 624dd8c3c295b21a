package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/store"
)

// Other programs fill the disk, and the server is killed. It starts again, shows
// every session, and visitors who log out stay logged out.
func TestKilledOnADiskThatIsFull(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		for _, durability := range []string{"interval", "commit"} {
			t.Run(durability, func(t *testing.T) {
				disk := smallDisk(t, "24m")
				h := &harness{t: t, engine: name, durability: durability, dir: filepath.Join(disk, "sessions")}
				h.start(0)
				defer func() { h.kill() }()
				var visitors []*visitor
				for i := range 8 {
					v := &visitor{name: string(rune('a' + i))}
					v.jar, _ = cookiejar.New(nil)
					for range 1 + i%3 {
						_, err := h.ask(v.jar, http.MethodPost, "/bump", url.Values{"owner": {v.name}})
						require.NoError(t, err)
						v.count++
					}
					visitors = append(visitors, v)
				}
				h.kill()
				fillUp(t, disk)
				for round := range 3 {
					h.start(1 + round)
					for i, v := range visitors {
						n, who, _ := v.show(h, v.jar)
						if i < 3*round {
							require.Zero(t, n, "round %d: %s has logged out", round, v.name)
							continue
						}
						require.Equal(t, v.count, n, "round %d", round)
						require.Equal(t, v.name, who)
					}
					for _, v := range visitors[min(3*round, 8):min(3*round+3, 8)] {
						_, err := h.ask(copyJar(v.jar, h.base), http.MethodPost, "/end", nil)
						require.NoError(t, err, "round %d: %s logs out", round, v.name)
					}
					h.kill()
				}
			})
		}
	})
}

// A server that was stopped properly also starts on a full disk.
func TestStartOnAFullDisk(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		disk := smallDisk(t, "24m")
		dir := filepath.Join(disk, "sessions")
		config := quiet()
		config.Shards = 2
		p := open(t, name, dir, config)
		fill(t, p, 60)
		require.NoError(t, p.Close(ctx))
		fillUp(t, disk)
		p = open(t, name, dir, config)
		require.Equal(t, 60, held(t, p, 60))
		for i := range 30 {
			require.NoError(t, p.Delete(ctx, key(i), 1))
		}
		require.NoError(t, p.Save(ctx, 1))
		require.NoError(t, p.Close(ctx))
		p = open(t, name, dir, config)
		require.Equal(t, 30, held(t, p, 60))
	})
}

func TestFullDisk(t *testing.T) {
	overEngines(t, func(t *testing.T, name string) {
		dir := smallDisk(t, "4m")
		config := quiet()
		config.Shards = 1
		p := open(t, name, dir, config)
		stored := 0
		var err error
		for ; stored < 1<<20; stored++ {
			if err = p.Set(ctx, store.Write{Key: key(stored), Value: value(stored), Now: 1}); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, store.ErrNoSpace)
		require.Positive(t, stored)
		require.Equal(t, stored, held(t, p, stored), "earlier records are intact")
		require.Zero(t, p.Stats().Restarts, "a full disk does not fail the instance")
		for i := range min(stored, 500) {
			require.NoError(t, p.Delete(ctx, key(i), 1), "session %d of %d: a full store can be emptied", i, stored)
			_, err = p.Get(ctx, key(i), 1)
			require.ErrorIs(t, err, store.ErrNotFound)
		}
		require.NoError(t, p.Clear(ctx, 1))
		deadline := time.Now().Add(10 * time.Second)
		for err = p.Set(ctx, store.Write{Key: key(0), Value: value(0), Now: 1}); err != nil && time.Now().Before(deadline); {
			_, _ = p.Sweep(ctx, 4096, 1)
			err = p.Set(ctx, store.Write{Key: key(0), Value: value(0), Now: 1})
		}
		require.NoError(t, err, "freed space is used again")
	})
}

package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/session"
	"github.com/waddle-sessions/waddle/host/session/sessiontest"
	"github.com/waddle-sessions/waddle/host/store"
)

// settle compares everything that is stored.
func (m *model) settle() {
	alive, left := 0, 0
	over := make(map[string]bool) // where other servers are left word that the cookie was replaced
	for id, s := range m.sessions {
		if m.left(s) != nil {
			left++
		}
		got := m.server().Session(context.Background(), id)
		keys, err := got.Keys()
		require.NoError(m.t, err)
		if !m.live(s) {
			over[storageKeyOf(id)] = m.left(s) == nil
			require.Empty(m.t, keys, "a session that has ended")
			exists, err := got.Exists()
			require.NoError(m.t, err)
			require.False(m.t, exists)
			continue
		}
		alive++
		values := map[string]int{}
		for _, key := range keys {
			var v int
			ok, err := got.Get(key, &v)
			require.NoError(m.t, err)
			require.True(m.t, ok)
			values[key] = v
		}
		require.Equal(m.t, s.values, values)
		expires, err := got.Expires()
		require.NoError(m.t, err)
		require.Equal(m.t, s.expires, store.At(expires))
	}
	if list, ok := m.store.Store.(store.Lister); ok {
		stored := 0
		for key, err := range list.Keys(context.Background(), store.At(m.clock.Now())) {
			require.NoError(m.t, err)
			if !over[string(key)] {
				stored++
			}
		}
		require.Equal(m.t, alive+left, stored, "records that nobody can reach, or that are missing")
	}
}

func (m *model) run(steps int) {
	browsers := []*modelBrowser{{name: "A"}, {name: "B"}}
	var open []*modelRequest
	storm := 0
	for i := range steps {
		switch n := m.random.IntN(100); {
		case n < 12 && len(open) < 6:
			b := browsers[m.random.IntN(len(browsers))]
			open = append(open, m.begin(b, fmt.Sprint(b.name, i)))
		case n < 22 && len(open) > 0:
			j := m.random.IntN(len(open))
			m.end(open[j])
			open = slices.Delete(open, j, j+1)
		case n < 25:
			most := int64(40 * time.Minute)
			if m.random.IntN(2) == 0 {
				most = int64(time.Minute) // about the grace of a tombstone
			}
			m.clock.Advance(time.Duration(m.random.Int64N(most)))
		case n < 28:
			storm = 1 + m.random.IntN(5)
			m.store.fail(func(o operation) error {
				if o.name == "set" && o.expect > 0 && storm > 0 {
					storm--
					return store.ErrConflict
				}
				return nil
			}, nil)
		case len(open) > 0:
			m.step(open[m.random.IntN(len(open))], n >= 95)
		}
	}
	m.store.fail(nil, nil)
	for _, r := range open {
		m.end(r)
	}
	m.settle()
}

// TestModel runs random histories, half of them with a server of its own for each
// request, at random. WADDLE_MODEL_SEED repeats one, and WADDLE_MODEL_RUNS sets how many
// there are.
func TestModel(t *testing.T) {
	runs, first := 150, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv("WADDLE_MODEL_RUNS")); err == nil {
		runs = n
	}
	if seed, err := strconv.ParseUint(os.Getenv("WADDLE_MODEL_SEED"), 10, 64); err == nil {
		runs, first = 1, seed
	}
	overStores(t, func(t *testing.T, s store.Store) {
		for i := range runs {
			seed := first + uint64(i)
			servers := 1 + int(seed%2)*2
			m := &model{
				t: t, random: rand.New(rand.NewPCG(seed, 0)), clock: new(sessiontest.Clock),
				store: &spy{Store: s}, sessions: make(map[string]*modelSession),
			}
			settings := session.Defaults()
			settings.Now = m.clock.Now
			settings.Lifetime = modelDuration.Duration()
			settings.AbsoluteTimeout = modelAbsolute.Duration()
			settings.OnEvent = func(context.Context, session.Event) {}
			for range servers {
				one, err := session.New(&ownStore{Store: m.store}, settings)
				require.NoError(t, err)
				m.managers = append(m.managers, one)
			}
			require.NoError(t, store.Clear(context.Background(), s, clockStart))
			func() {
				defer func() {
					if t.Failed() {
						t.Logf("run it again with WADDLE_MODEL_SEED=%d; what was done:", seed)
						for _, line := range m.trail {
							t.Log(line)
						}
					}
				}()
				m.run(300)
			}()
		}
	})
}

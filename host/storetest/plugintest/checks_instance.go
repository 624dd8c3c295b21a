package plugintest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// failed returns an error if an instance of the guest has failed since it was
// opened, even if every call was answered.
func (g *guest) failed() error {
	s := g.Stats()
	if s.Restarts == g.replaced && s.Backoff == 0 {
		return nil
	}
	for i, shard := range s.Shards {
		if shard.LastError != "" {
			return fmt.Errorf("the instance of shard %d failed: %s", i, shard.LastError)
		}
	}
	return fmt.Errorf("%d instances were replaced", s.Restarts-g.replaced)
}

// recordsFor returns how many of n records the guest holds with each of these
// numbers of shards.
func recordsFor(p *storetest.Probe, n int, shards ...int) int {
	for _, s := range shards {
		n = min(n, p.RecordsIn(storetest.Setup{Shards: s}, n, 8))
	}
	return n
}

// enumerates reports whether the guest enumerates keys. It may export
// session_keys and answer UNSUPPORTED.
func enumerates(p *storetest.Probe, s *storetest.Subject) bool {
	for _, err := range s.Target().(*guest).Keys(p.Context(), storetest.Now) {
		return !errors.Is(err, store.ErrUnsupported)
	}
	return true
}

// givesSnapshots reports whether the guest gives snapshots.
func givesSnapshots(p *storetest.Probe, s *storetest.Subject) bool {
	for _, err := range s.Target().(*guest).Snapshot(p.Context(), storetest.Now) {
		return !errors.Is(err, store.ErrUnsupported)
	}
	return true
}

// instanceTests are about instances that stay alive, and shards that share
// nothing.
func (h *harness) instanceTests() []storetest.Test {
	const now = storetest.Now
	key := func(i int) []byte { return fmt.Appendf(nil, "key %d", i) }
	return []storetest.Test{
		{Name: "instance/lives", Section: secLife, Requires: "an instance does not trap, exit, or take longer than it may",
			Run: func(p *storetest.Probe) {
				s := p.Store()
				step, _ := p.Soak(s)
				for range 5000 {
					step()
				}
				if err := s.Target().(*guest).failed(); err != nil {
					p.Fail(err.Error(), "instances that stay alive")
				}
			}},
		{Name: "instance/log", Section: secImports, Requires: "a host may drop lines of a guest that writes too many: routine work is not worth a line",
			Run: func(p *storetest.Probe) {
				s := p.Store()
				step, _ := p.Soak(s)
				for range 5000 {
					step()
				}
				if n := s.Target().(*guest).Stats().DroppedLogLines; n > 0 {
					p.Skip(fmt.Sprintf("the guest wrote %d more lines in 5000 operations than the host keeps: this is allowed, but important lines may be lost", n))
				}
			}},
		{Name: "instance/messages", Section: secImports, Requires: "a message of fail must not contain keys or values",
			Run: func(p *storetest.Probe) {
				s := p.Store()
				const secretKey, secretValue = "a-key-that-nobody-may-read", "a-value-that-nobody-may-read"
				v := append(storetest.Value(7, 8), secretValue...)
				errs := []error{
					s.TrySet(store.Write{Key: []byte(secretKey), Value: v, Now: now, Expect: 9}),
					s.TrySet(store.Write{Key: []byte(secretKey), Value: v, Now: now}),
					s.TrySet(store.Write{Key: []byte(secretKey), Value: v, Now: now, Expect: store.Absent}),
					s.TryTouch([]byte(secretKey+"-absent"), now+1, now),
				}
				_, err := s.TryGet([]byte(secretKey+"-absent"), now)
				for _, err := range append(errs, err) {
					var answer *plugin.Error
					if errors.As(err, &answer) && (strings.Contains(answer.Message, secretKey) || strings.Contains(answer.Message, secretValue)) {
						p.Fail("the message "+answer.Message, "a message without keys and values")
					}
				}
			}},
		{Name: "instance/recycled", Section: secOptional, Requires: "snapshot and restore let a stateful guest survive the replacement of its instances; so do files",
			Run: func(p *storetest.Probe) {
				s, n := p.Store(), p.Records(300, 8)
				for i := range n - 3 {
					s.Set(store.Write{Key: key(i), Value: storetest.Value(uint64(i+1), i*5%600), Expires: store.Millis(i%2) * (now + 1<<40), Now: now})
				}
				s.Delete(key(7), now)
				g := s.Target().(*guest)
				for turn := range 3 {
					err := g.Recycle(p.Context())
					if errors.Is(err, store.ErrUnsupported) {
						p.Skip("the guest has neither a mount nor snapshot and restore")
					}
					if err != nil {
						p.Fail("recycling: "+err.Error(), "success")
					}
					g.replaced += uint64(g.Info().Shards)
					for i := range n - 3 {
						if i == 7 {
							s.Absent(key(i), now)
							continue
						}
						s.Get(key(i), now, storetest.Value(uint64(i+1), i*5%600))
					}
					s.Put(key(1000+turn), storetest.Value(1, 100))
				}
				s.Absent(key(1), now+1<<40)
				s.Get(key(1002), now, storetest.Value(1, 100))
				s.SetFails(store.Write{Key: key(2), Value: storetest.Value(9, 9), Now: now, Expect: store.Absent}, store.ErrConflict)
			}},
		{Name: "instance/snapshot-file", Section: secOptional, Requires: "records that a guest keeps in memory come back from a snapshot when it is opened again, with any number of shards",
			Run: func(p *storetest.Probe) {
				h.needsOpen(p)
				if h.mounted || !h.exports(abi.ExportSnapshot) || !h.exports(abi.ExportRestore) {
					p.Skip("the guest keeps files, or does not export snapshot and restore")
				}
				dir, n := p.Dir(), recordsFor(p, 300, 1, 2, 4)/3
				for turn, shards := range []int{1, 4, 2} {
					config := h.config(storetest.Setup{Dir: dir, Shards: shards})
					config.Snapshots = dir
					g, err := h.openModule(p.Context(), h.wasm, config)
					if errors.Is(err, store.ErrUnsupported) {
						p.Skip("the guest answers UNSUPPORTED")
					}
					if err != nil {
						p.Fail(err.Error(), "a plugin that opens with a snapshot")
					}
					for i := range n * turn {
						got, err := g.Get(p.Context(), key(i), now)
						if err != nil || string(got) != string(storetest.Value(uint64(i+1), 40)) {
							p.Failf("the value as it was stored", "after it was opened again with %d shards, get of %q: %d bytes, %s", shards, key(i), len(got), outcome(err))
						}
					}
					for i := n * turn; i < n*(turn+1); i++ {
						if err := g.Set(p.Context(), store.Write{Key: key(i), Value: storetest.Value(uint64(i+1), 40), Expires: now + 1<<40, Now: now}); err != nil {
							p.Fail(err.Error(), "success")
						}
					}
					if err := g.Close(p.Context()); errors.Is(err, store.ErrUnsupported) {
						p.Skip("the guest answers UNSUPPORTED")
					} else if err != nil {
						p.Fail(err.Error(), "a plugin that closes with a snapshot")
					}
				}
			}},
		{Name: "instance/stats", Section: secOptional, Requires: "session_stats reports how many records are stored, and how many were evicted and have expired since session_open",
			Run: func(p *storetest.Probe) { h.checkStats(p) }},
		{Name: "shard/isolated", Section: secLife, Requires: "each key always goes to the same shard, and instances share nothing",
			Run: func(p *storetest.Probe) {
				const shards = 4
				n := recordsFor(p, 200, 1, shards)
				open := func(shards int) (s *storetest.Subject, named int) {
					s = p.Open(storetest.Setup{Shards: shards})
					var all [][]byte
					for i := range n {
						all = append(all, key(i))
						s.Put(key(i), storetest.Value(uint64(i+1), 30))
					}
					if !enumerates(p, s) {
						p.Skip("the guest does not enumerate keys")
					}
					keys := s.Keys(now, nil)
					s.HasExactly(keys, all...)
					for _, times := range keys {
						named += times
					}
					return s, named
				}
				// A guest may name a key twice, with one shard as well as with
				// four.
				_, alone := open(1)
				s, named := open(shards)
				if named > 2*alone {
					p.Failf("that each key is enumerated by the shard that it belongs to", "%d keys were named %d times by %d shards, but %d times by one",
						n, named, shards, alone)
				}
				var left [][]byte
				for i := range n {
					if abi.ShardOf(key(i), shards) == 1 || i%2 == 0 {
						s.Delete(key(i), now)
					} else {
						left = append(left, key(i))
					}
				}
				s.HasExactly(s.Keys(now, nil), left...)
				for i := range n {
					if abi.ShardOf(key(i), shards) == 1 || i%2 == 0 {
						s.Absent(key(i), now)
					} else {
						s.Get(key(i), now, storetest.Value(uint64(i+1), 30))
					}
				}
			}},
	}
}

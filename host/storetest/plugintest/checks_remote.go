package plugintest

import (
	"fmt"
	"strconv"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// remoteTests are about guests whose records lie elsewhere. With one instance such a
// guest is like any other; these checks have several.
func (h *harness) remoteTests() []storetest.Test {
	const (
		once = "with remote, any instance serves any key: once one has answered a call, every other one sees its effect"
		all  = "with remote, one instance answers calls about all records: "
	)
	run := func(f func(r remote)) func(p *storetest.Probe) {
		return func(p *storetest.Probe) { f(h.openRemote(p)) }
	}
	return []storetest.Test{
		{Name: "remote/values", Section: secShards, Requires: once, Run: run(remote.checkValues)},
		{Name: "remote/expiry", Section: secShards, Requires: once + ", on an expiry too", Run: run(remote.checkExpiry)},
		{Name: "remote/revisions", Section: secShards, Requires: "with remote, revisions are compared where the records lie", Run: run(remote.checkRevisions)},
		{Name: "remote/one-step", Section: secShards, Requires: "with remote, comparing and storing are one step where the records lie", Run: run(remote.checkOneStep)},
		{Name: "remote/whole-values", Section: secShards, Requires: "with remote, the place where the records lie orders calls at the same time: a value is seen whole, and never an older one after it",
			Run: run(remote.checkWholeValues)},
		{Name: "remote/clear", Section: secShards, Requires: all + "session_clear removes every one", Run: run(remote.checkClear)},
		{Name: "remote/sweep", Section: secShards, Requires: all + "session_sweep removes and counts every one that has expired", Run: run(remote.checkSweep)},
		{Name: "remote/keys", Section: secShards, Requires: all + "session_keys names the key of every one", Run: run(remote.checkKeys)},
		{Name: "remote/snapshot", Section: secShards, Requires: all + "session_snapshot gives every one", Run: run(remote.checkSnapshot)},
		{Name: "remote/stats", Section: secShards, Requires: all + "records of session_stats counts every one", Run: run(remote.checkStats)},
		{Name: "remote/save", Section: secShards, Requires: "with remote, every instance is asked to save: session_save covers the writes that the instance has answered", Run: func(p *storetest.Probe) { h.checkRemoteSave(p) }},
	}
}

func (r remote) checkValues() {
	const now = storetest.Now
	for writer := range remoteInstances {
		for _, reader := range others(writer) {
			key := fmt.Sprintf("key %d %d", writer, reader)
			see := func(after string, want []byte) {
				for _, i := range append(others(writer), writer) {
					r.sees(after, i, key, want, now)
				}
			}
			by := func(what string, i int) string { return fmt.Sprintf("%s in instance %d", what, i) }
			see("nothing was stored", nil)
			first, second, third := storetest.Value(1, 40), storetest.Value(2, 30), storetest.Value(3, 50)
			r.set(writer, key, first, 0, now, store.Absent)
			see(by("session_set", writer), first)
			r.set(writer, key, second, 0, now, store.Any)
			see(by("a second session_set", writer), second)
			r.did(reader, routedDelete, 0, key, now)
			see(by("session_delete", reader), nil)
			r.set(reader, key, third, 0, now, store.Absent)
			see(by("session_set after a session_delete", reader), third)
			r.set(writer, key, first, now, now, store.Any)
			see(by("session_set with an expiry that had passed", writer), nil)
		}
	}
}

func (r remote) checkExpiry() {
	const now = storetest.Now
	value := storetest.Value(7, 40)
	for i := range remoteInstances {
		other, third := (i+1)%remoteInstances, (i+2)%remoteInstances
		key := fmt.Sprintf("key %d", i)
		r.set(i, key, value, now+100, now, store.Any)
		r.sees("session_set", other, key, value, now+99)
		r.sees("session_set", third, key, value, now+99)
		r.set(other, key, value, now+200, now+99, 7)
		r.sees("session_set with a later expiry", i, key, value, now+199)
		r.sees("session_set with a later expiry", third, key, value, now+199)
		r.sees("the record had expired", i, key, nil, now+200)
	}
	for i := range remoteInstances {
		other, third := (i+1)%remoteInstances, (i+2)%remoteInstances
		key := fmt.Sprintf("touched %d", i)
		r.set(i, key, value, now+1000, now+200, store.Any)
		r.sees("session_set", third, key, value, now+200)
		r.did(other, routedTouch, int64(now+2000), key, now+200)
		for _, reader := range []int{i, other, third} {
			r.sees("session_touch with a later expiry", reader, key, value, now+1000)
		}
		r.did(i, routedTouch, int64(now+1500), key, now+1000)
		for _, reader := range []int{other, third, i} {
			r.sees("session_touch with an earlier expiry", reader, key, nil, now+1500)
		}
	}
}

func (r remote) checkRevisions() {
	const now = storetest.Now
	for i := range remoteInstances {
		other, third := (i+1)%remoteInstances, (i+2)%remoteInstances
		key := fmt.Sprintf("key %d", i)
		r.sees("nothing was stored", other, key, nil, now)
		r.set(i, key, storetest.Value(1, 40), 0, now, store.Absent)
		r.conflicts("another one had created it", other, key, store.Absent)
		r.sees("session_set", other, key, storetest.Value(1, 40), now)
		r.set(third, key, storetest.Value(2, 40), 0, now, 1)
		r.conflicts("another one had replaced revision 1", i, key, 1)
		r.conflicts("another one had replaced revision 1", other, key, 1)
		r.set(other, key, storetest.Value(3, 40), 0, now, 2)
		r.conflicts("another one had replaced revision 2", third, key, 2)
		r.sees("all this", i, key, storetest.Value(3, 40), now)
		r.did(third, routedDelete, 0, key, now)
		r.conflicts("another one had deleted revision 3", other, key, 3)
		r.conflicts("another one had deleted revision 3", i, key, 3)
		r.set(i, key, storetest.Value(4, 40), 0, now, store.Absent)
		r.conflicts("another one had created it", third, key, store.Absent)
	}
}

func (r remote) checkClear() {
	const now = storetest.Now
	for i := range remoteInstances {
		keys := r.fill("key", 0, now)
		r.did(i, routedClear, 0, "", now)
		for n, key := range keys {
			r.sees(fmt.Sprintf("session_clear in instance %d", i), n%remoteInstances, key, nil, now)
			r.sees(fmt.Sprintf("session_clear in instance %d", i), (n+1)%remoteInstances, key, nil, now)
		}
	}
}

func (r remote) checkSweep() {
	now := storetest.Now
	for i := range remoteInstances {
		kept := r.fill(fmt.Sprint("kept ", i), 0, now)
		gone := r.fill(fmt.Sprint("gone ", i), now+100, now)
		now += 100
		total := 0
		for idle := 0; idle < 100; idle++ {
			if n := len(r.did(i, routedSweep, 1000, "", now)); n > 0 {
				total, idle = total+n, 0
			}
		}
		if total != len(gone) {
			r.p.Failf(fmt.Sprintf("%d, as many as had expired", len(gone)), "session_sweep in instance %d removed %d records, until it removed none", i, total)
		}
		for n, key := range kept {
			r.sees("session_sweep", (n+1)%remoteInstances, key, storetest.Value(uint64(n+1), 30), now)
			r.did(i, routedDelete, 0, key, now)
		}
	}
}

// list calls an enumeration of an instance to its end.
func (r remote) list(i int, to routedExport, each func(list []byte) (rest []byte, ok bool)) {
	cursor := int64(0)
	for chunks := 0; ; chunks++ {
		next, list, ok := abi.CutCursor(r.did(i, to, cursor, "", storetest.Now))
		for ok && len(list) > 0 {
			list, ok = each(list)
		}
		if !ok || next < 0 {
			r.p.Failf("a chunk", "%s in instance %d gives what is none", routedExports[to], i)
		}
		if next == 0 {
			return
		}
		if cursor = next; chunks > 1000 {
			r.p.Failf("an end", "%s in instance %d gives %d chunks", routedExports[to], i, chunks)
		}
	}
}

// lists requires that each instance enumerates exactly these keys.
func (r remote) lists(to routedExport, want []string, each func(list []byte) (key, rest []byte, ok bool)) {
	for i := range remoteInstances {
		got := make(map[string]bool)
		r.list(i, to, func(list []byte) ([]byte, bool) {
			key, rest, ok := each(list)
			got[string(key)] = true
			return rest, ok
		})
		for _, key := range want {
			if !got[key] {
				r.p.Failf("each record, whichever instance stored it", "%s in instance %d leaves out %q, and gives %d of %d", routedExports[to], i, key, len(got), len(want))
			}
		}
		if len(got) > len(want) {
			r.p.Failf(fmt.Sprint(len(want)), "%s in instance %d gives %d records", routedExports[to], i, len(got))
		}
	}
}

func (r remote) checkKeys() {
	keys := r.fill("key", 0, storetest.Now)
	r.lists(routedKeys, keys, abi.NextKey)
}

func (r remote) checkSnapshot() {
	keys := r.fill("key", 0, storetest.Now)
	r.lists(routedSnapshot, keys, func(list []byte) (key, rest []byte, ok bool) {
		key, _, _, rest, ok = abi.NextRecord(list)
		return key, rest, ok
	})
}

func (r remote) checkStats() {
	keys := r.fill("key", 0, storetest.Now)
	for _, key := range keys[:5] {
		r.did(0, routedDelete, 0, key, storetest.Now)
	}
	for i := range remoteInstances {
		list := r.did(i, routedStats, 0, "", storetest.Now)
		for len(list) > 0 {
			name, value, rest, ok := abi.NextPair(list)
			if !ok {
				r.p.Failf("a list of pairs", "session_stats in instance %d gives what is none", i)
			}
			if list = rest; name == abi.StatsRecords && value != strconv.Itoa(len(keys)-5) {
				r.p.Failf(fmt.Sprint(len(keys)-5), "session_stats in instance %d: records is %s", i, value)
			}
		}
	}
}

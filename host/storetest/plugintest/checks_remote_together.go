package plugintest

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/store"
	"github.com/waddle-sessions/waddle/host/storetest"
	"github.com/waddle-sessions/waddle/host/storetest/internal/namespace"
)

// checkOneStep has each instance increment one counter, and create the same records.
func (r remote) checkOneStep() {
	const now, increments, created = storetest.Now, 40, storetest.LeastRecords - 1
	r.set(0, "counter", storetest.Value(1, 20), 0, now, store.Absent)
	r.p.Together(remoteInstances, func(i int) {
		for range increments {
			for attempts := 0; ; attempts++ {
				if attempts > remoteInstances*increments {
					r.p.Failf("a conflict only if another instance has stored meanwhile", "%d conflicts in a row, but only %d increments in all", attempts, remoteInstances*increments)
				}
				revision := int64(abi.Revision(r.did(i, routedGet, 0, "counter", now)))
				err := r.trySet(i, "counter", storetest.Value(uint64(revision+1), 20), 0, now, revision)
				if err == nil {
					break
				}
				if !errors.Is(err, store.ErrConflict) {
					r.p.Fail("session_set with a revision: "+err.Error(), "success, or CONFLICT")
				}
			}
		}
	})
	if got := abi.Revision(r.did(0, routedGet, 0, "counter", now)); got != 1+remoteInstances*increments {
		r.p.Failf(fmt.Sprint("revision ", 1+remoteInstances*increments), "revision %d after %d increments by each of %d instances: some were lost", got, increments, remoteInstances)
	}

	var creators [created]atomic.Int64
	key := func(n int) string { return fmt.Sprint("key ", n) }
	r.p.Together(remoteInstances, func(i int) {
		for n := range created {
			err := r.trySet(i, key(n), storetest.Value(uint64(i+1), 20), 0, now, store.Absent)
			if err == nil {
				creators[n].Add(1)
			} else if !errors.Is(err, store.ErrConflict) {
				r.p.Fail("session_set with expect -1: "+err.Error(), "success, or CONFLICT")
			}
		}
	})
	for n := range creators {
		if got := creators[n].Load(); got != 1 {
			r.p.Failf("one", "%d of %d instances created %q", got, remoteInstances, key(n))
		}
	}
}

// checkWholeValues has one instance write while the others read.
func (r remote) checkWholeValues() {
	const now, writes = storetest.Now, 300
	body := func(revision uint64) []byte { return storetest.Value(revision, 8+int(revision*37%2000)) }
	r.set(0, "key", body(1), 0, now, store.Any)
	var done atomic.Bool
	r.p.Together(remoteInstances, func(i int) {
		if i == 0 {
			defer done.Store(true)
			for revision := uint64(2); revision <= writes && !done.Load(); revision++ {
				r.set(i, "key", body(revision), 0, now, int64(revision-1))
			}
			return
		}
		for last := uint64(1); !done.Load(); {
			got, err := r.call(i, routedGet, 0, "key", now)
			if err != nil {
				done.Store(true)
				r.p.Failf("a value", "session_get in instance %d while instance 0 writes: %s", i, err)
			}
			revision := abi.Revision(got)
			if revision < last || revision > writes || string(got) != string(body(revision)) {
				done.Store(true)
				r.p.Failf("a value as it was stored, and none older than one that was seen", "session_get in instance %d while instance 0 writes: %d bytes, revision %d, after revision %d",
					i, len(got), revision, last)
			}
			last = revision
		}
	})
	r.sees("all writes", 1, "key", body(writes), now)
}

// checkRemoteSave has each instance save, beginning with another one each time, and opens a
// copy of the files: what a host that is killed now leaves behind.
func (h *harness) checkRemoteSave(p *storetest.Probe) {
	r := h.openRemote(p)
	if !h.mounted || h.options.Namespace != "" {
		p.Skip("the guest keeps no files: only its backend knows what is durable")
	}
	for i := range remoteInstances {
		keys := r.fill(fmt.Sprint("key ", i), 0, storetest.Now)
		for n := range remoteInstances {
			r.did((i+n)%remoteInstances, routedSave, 0, "", storetest.Now)
		}
		copied := p.Dir()
		if err := os.CopyFS(copied, os.DirFS(r.dir)); err != nil {
			p.Skip("the directory could not be copied: " + err.Error())
		}
		again, err := h.openModule(p.Context(), h.wasm, h.config(storetest.Setup{Dir: copied, Shards: 1, Namespace: namespace.Of(r.dir)}))
		if err != nil {
			p.Fail("with the files that session_save left: "+err.Error(), "a plugin that opens")
		}
		p.Cleanup(func() error { return again.Close(p.Context()) })
		for n, key := range keys {
			got, err := again.Get(p.Context(), []byte(key), storetest.Now)
			if err != nil || string(got) != string(storetest.Value(uint64(n+1), 30)) {
				p.Failf("the value", "after session_save in every instance, beginning with %d, and the end of the host, session_get of %q, which instance %d had stored: %d bytes, %s",
					i, key, n%remoteInstances, len(got), outcome(err))
			}
			r.did(i, routedDelete, 0, key, storetest.Now)
		}
	}
}

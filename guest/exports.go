//go:build wasip1

package guest

// The exports of abi/SPEC.md. Their behaviour is in instance.go, where it can
// be tested natively; here only regions become pointers.

//go:wasmexport session_abi_v1
func sessionABIv1() {}

//go:wasmexport session_describe
func sessionDescribe() int64 { return region(current.describe()) }

//go:wasmexport session_alloc
func sessionAlloc(size uint32) uint32 { return current.alloc(size) }

//go:wasmexport session_open
func sessionOpen(ptr, length uint32) int64 { return current.open(ptr, length) }

//go:wasmexport session_get
func sessionGet(keyPtr, keyLen uint32, now int64) int64 {
	return current.get(keyPtr, keyLen, now)
}

//go:wasmexport session_set
func sessionSet(keyPtr, keyLen, valuePtr, valueLen uint32, expires, now, expect int64) int64 {
	return current.set(keyPtr, keyLen, valuePtr, valueLen, expires, now, expect)
}

//go:wasmexport session_delete
func sessionDelete(keyPtr, keyLen uint32, now int64) int64 {
	return current.delete(keyPtr, keyLen, now)
}

//go:wasmexport session_clear
func sessionClear(now int64) int64 { return current.clear(now) }

//go:wasmexport session_save
func sessionSave(now int64) int64 { return current.save(now) }

//go:wasmexport session_touch
func sessionTouch(keyPtr, keyLen uint32, expires, now int64) int64 {
	return current.touch(keyPtr, keyLen, expires, now)
}

//go:wasmexport session_sweep
func sessionSweep(now int64, max uint32) int64 { return current.sweep(now, max) }

//go:wasmexport session_flush
func sessionFlush(now int64, max uint32) int64 { return current.flush(now, max) }

//go:wasmexport session_keys
func sessionKeys(cursor, now int64) int64 { return region(current.keys(cursor, now)) }

//go:wasmexport session_snapshot
func sessionSnapshot(cursor, now int64) int64 { return region(current.snapshot(cursor, now)) }

//go:wasmexport session_restore
func sessionRestore(ptr, length uint32, now int64) int64 { return current.restore(ptr, length, now) }

//go:wasmexport session_stats
func sessionStats() int64 { return region(current.stats()) }

//go:wasmexport session_copied
func sessionCopied() int64 { return current.copied() }

//go:wasmexport session_batch
func sessionBatch(ptr, length uint32) int64 { return region(current.runBatch(ptr, length)) }

//go:wasmexport session_idle
func sessionIdle(now int64) int64 { return current.idle(now) }

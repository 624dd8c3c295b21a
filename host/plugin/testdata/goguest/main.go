// Command goguest is a guest of the contract that stores nothing and fails in
// whatever way the time of an operation says: to see what a failure in Go code
// looks like from its host.
package main

import "unsafe"

var buffer [1 << 16]byte

func main() {}

//go:wasmexport session_abi_v1
func marker() {}

//go:wasmexport session_alloc
func alloc(size int32) unsafe.Pointer {
	if int(size) > len(buffer) {
		return nil
	}
	return unsafe.Pointer(&buffer)
}

//go:wasmexport session_open
func open(config unsafe.Pointer, size int32) int64 { return 0 }

//go:wasmexport session_get
func get(key unsafe.Pointer, size int32, now int64) int64 {
	switch now {
	case 1:
		explode(buffer[:0], int(now))
	case 2:
		reach(uintptr(0xfffffff0))
	}
	return -1
}

// explode panics, as Go does.
//
//go:noinline
func explode(b []byte, i int) { b[i] = 1 }

// reach traps: nothing in Go checks the address.
//
//go:noinline
func reach(address uintptr) { *(*byte)(unsafe.Add(nil, address)) = 1 }

//go:wasmexport session_set
func set(key unsafe.Pointer, keySize int32, value unsafe.Pointer, valueSize int32, expires, now, expect int64) int64 {
	return 0
}

//go:wasmexport session_delete
func remove(key unsafe.Pointer, size int32, now int64) int64 { return 0 }

//go:wasmexport session_clear
func clear(now int64) int64 { return 0 }

//go:wasmexport session_save
func save(now int64) int64 { return 0 }

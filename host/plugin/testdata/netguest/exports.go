// Command netguest is a guest that does over its network what the key of session_get says: a
// command, an address and words. It knows no SDK: it shows what the contract alone gives.
package main

import (
	"strings"
	"unsafe"
)

func main() {}

var (
	buffer [1 << 16]byte
	answer []byte
)

//go:wasmimport waddle_v1 fail
func hostFail(text unsafe.Pointer, size uint32)

//go:wasmexport session_abi_v1
func marker() {}

//go:wasmexport session_alloc
func alloc(size int32) unsafe.Pointer {
	if int(size) > len(buffer) {
		return nil
	}
	return unsafe.Pointer(&buffer)
}

//go:wasmexport session_describe
func describe() int64 { return result("capabilities\x00cas remote\x00") }

//go:wasmexport session_open
func open(config unsafe.Pointer, size int32) int64 {
	pairs := strings.Split(string(buffer[:size]), "\x00")
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "open" { // a command
			return run(pairs[i+1]) & 0
		}
	}
	return 0
}

//go:wasmexport session_get
func get(key unsafe.Pointer, size int32, now int64) int64 { return run(string(buffer[:size])) }

//go:wasmexport session_set
func set(key unsafe.Pointer, keySize int32, value unsafe.Pointer, valueSize int32, expires, now, expect int64) int64 {
	return 0
}

//go:wasmexport session_delete
func remove(key unsafe.Pointer, size int32, now int64) int64 { return 0 }

//go:wasmexport session_clear
func clear(now int64) int64 { return 0 }

var atSave string // a command

//go:wasmexport session_save
func save(now int64) int64 {
	if atSave == "" {
		return 0
	}
	return min(run(atSave), 0)
}

var (
	idled     int
	idleWants int64
	atIdle    func()
)

//go:wasmexport session_idle
func idle(now int64) int64 {
	idled++
	if atIdle != nil {
		atIdle()
	}
	return idleWants
}

// run does what a line says, and returns what a call of the contract does.
func run(line string) int64 {
	words := strings.SplitN(line, " ", 3)
	for len(words) < 3 {
		words = append(words, "")
	}
	command := commands[words[0]]
	if command == nil {
		return failure("no such command: " + words[0])
	}
	text, err := command(words[1], words[2])
	if err != nil {
		return failure(err.Error())
	}
	return result(text)
}

func result(text string) int64 {
	answer = append(answer[:0], text...)
	if len(answer) == 0 {
		return 0
	}
	return int64(uintptr(unsafe.Pointer(&answer[0])))<<32 | int64(len(answer))
}

func failure(text string) int64 {
	answer = append(answer[:0], text...)
	hostFail(unsafe.Pointer(&answer[0]), uint32(len(answer)))
	return -5 // UNAVAILABLE
}

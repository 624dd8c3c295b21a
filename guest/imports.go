//go:build wasip1

package guest

import (
	"strconv"
	"unsafe"
)

//go:wasmimport waddle_v1 log
func importLog(level int32, ptr unsafe.Pointer, length uint32)

//go:wasmimport waddle_v1 fail
func importFail(ptr unsafe.Pointer, length uint32)

//go:wasmimport wasi_snapshot_preview1 random_get
//go:noescape
func importRandom(ptr unsafe.Pointer, length uint32) (errno uint32)

// serving is the instance whose engine is running.
func serving() *instance { return &current }

func hostLog(level int32, line string) {
	importLog(level, unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

func hostFail(message string) {
	importFail(unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}

func hostRandom(b []byte) {
	if errno := importRandom(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))); errno != 0 {
		panic("guest: the host gives no random bytes: error " + strconv.Itoa(int(errno)))
	}
}

// address returns where in linear memory b begins.
func address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

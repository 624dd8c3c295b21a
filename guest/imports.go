//go:build wasip1

package guest

import "unsafe"

//go:wasmimport waddle_v1 log
func importLog(level int32, ptr unsafe.Pointer, length uint32)

//go:wasmimport waddle_v1 fail
func importFail(ptr unsafe.Pointer, length uint32)

// serving is the instance whose engine is running.
func serving() *instance { return &current }

func hostLog(level int32, line string) {
	importLog(level, unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

func hostFail(message string) {
	importFail(unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}

// address returns where in linear memory b begins.
func address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

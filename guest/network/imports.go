//go:build wasip1

package network

import (
	"unsafe"

	"github.com/waddle-sessions/waddle/abi"
)

//go:wasmimport waddle_v1 dial
//go:noescape
func importDial(address unsafe.Pointer, length uint32) int32

//go:wasmimport waddle_v1 conn_wait
func importWait(conn, events int32, timeoutMS int64) int32

//go:wasmimport waddle_v1 conn_read
//go:noescape
func importRead(conn int32, ptr unsafe.Pointer, length uint32, timeoutMS int64) int32

//go:wasmimport waddle_v1 conn_write
//go:noescape
func importWrite(conn int32, ptr unsafe.Pointer, length uint32, timeoutMS int64) int32

//go:wasmimport waddle_v1 conn_start_tls
//go:noescape
func importStartTLS(conn int32, name unsafe.Pointer, length uint32) int32

//go:wasmimport waddle_v1 conn_error
//go:noescape
func importError(conn int32, ptr unsafe.Pointer, length uint32) int32

//go:wasmimport waddle_v1 conn_close
func importClose(conn int32) int32

func hostDial(address string) int32 {
	return importDial(unsafe.Pointer(unsafe.StringData(address)), uint32(len(address)))
}

func hostRead(conn int32, p []byte, timeoutMS int64) int32 {
	return importRead(conn, unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)), timeoutMS)
}

func hostWrite(conn int32, p []byte, timeoutMS int64) int32 {
	return importWrite(conn, unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)), timeoutMS)
}

func hostStartTLS(conn int32, name string) int32 {
	return importStartTLS(conn, unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)))
}

// words returns what the host says of the failure of a connection, "" for nothing. With -1 it is that
// of the last dial that gave none.
func words(conn int32) string {
	var b [512]byte
	n := importError(conn, unsafe.Pointer(&b), uint32(len(b)))
	return string(b[:max(0, min(int(n), len(b)))])
}

// again is what an import returns if there was nothing within the timeout.
const again = -abi.ErrnoAgain

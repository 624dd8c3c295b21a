//go:build !linux

package image

import (
	"fmt"
	"runtime"
	"unsafe"
)

const systemPage uint64 = pageSize

var errSystem = fmt.Errorf("%w: this is %s, and it takes Linux", ErrUnavailable, runtime.GOOS)

func try() error { return errSystem }

func newFile([]byte, pageSet) (int, unsafe.Pointer, error) { return -1, nil, errSystem }

func closeFile(int) error { return errSystem }

func mapRegion(int, uint64, uint64) (unsafe.Pointer, error) { return nil, errSystem }

func remap(unsafe.Pointer, int, uint64, uint64, uint64) error { return errSystem }

func discard(unsafe.Pointer, uint64) error { return errSystem }

func unmap(unsafe.Pointer, uint64) error { return errSystem }

func readPageMap([]byte, unsafe.Pointer) error { return errSystem }

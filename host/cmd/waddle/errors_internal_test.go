package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReaderHasEnded(t *testing.T) {
	closed := os.NewSyscallError("write", syscall.EPIPE)
	require.True(t, readerHasEnded(fmt.Errorf("list: %w", &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE})))
	require.False(t, readerHasEnded(fmt.Errorf("the server cannot be asked: %w", &net.OpError{Op: "write", Net: "tcp", Err: closed})))
	require.False(t, readerHasEnded(errors.New("another")))
}

package serving

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/hosting"
)

// maxSocketPath is a length that every system takes, with room for the name that a socket
// has before it is ready.
const maxSocketPath = 90

// ListenUnix listens on a unix socket that only those may use whom mode permits. A
// socket that is left from a program that has ended is replaced; one that somebody
// listens on is an error, and so is any other file. Closing removes the socket, unless
// another program has put its own there by then.
//
// The socket appears with its mode and already listening: it is made in a directory that
// nobody else can enter, and moved. A lock on the directory keeps two programs from
// replacing each other's, on systems that have such locks.
func ListenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	if path == "" || len(path) > maxSocketPath {
		return nil, fmt.Errorf("the socket's path has %d bytes: must have 1 to %d", len(path), maxSocketPath)
	}
	dir := filepath.Dir(path)
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := mayReplace(ctx, path); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(dir, ".w")
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket in %s: %w", dir, err)
	}
	defer os.RemoveAll(private)
	made := filepath.Join(private, "s")
	l, err := new(net.ListenConfig).Listen(ctx, "unix", made)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	info, err := placeSocket(made, path, mode)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return &unixListener{Listener: l, path: path, is: info}, nil
}

func placeSocket(made, path string, mode fs.FileMode) (fs.FileInfo, error) {
	if err := os.Chmod(made, mode); err != nil {
		return nil, err
	}
	if err := os.Rename(made, path); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

// mayReplace returns an error for a path that is in use.
func mayReplace(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is not a socket: must be a socket, or nothing; remove it, or choose another path", path)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close()
	}
	if err == nil || !refused(err) {
		return fmt.Errorf("%w: %s: end it first, or choose another path", ErrSocketInUse, path)
	}
	return nil
}

// ErrSocketInUse is returned when another program listens on a socket.
var ErrSocketInUse = errors.New("another program listens on this socket")

// lockDir locks a directory, for as long as a socket in it is put in place.
func lockDir(dir string) (unlock func(), err error) {
	for range 100 {
		if unlock, err = hosting.Lock(dir); !errors.Is(err, hosting.ErrInUse) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if errors.Is(err, hosting.ErrInUse) {
		return nil, fmt.Errorf("another program holds a lock on %s: must be a directory that is for sockets, not for tenants or data", dir)
	}
	return unlock, err
}

// unixListener removes its socket when it is closed.
type unixListener struct {
	net.Listener
	path string
	is   fs.FileInfo
	once sync.Once
}

// PathOf returns the path of a socket that ListenUnix made.
func PathOf(l net.Listener) string {
	if u, ok := l.(*unixListener); ok {
		return u.path
	}
	return l.Addr().String()
}

// Close implements net.Listener.
func (l *unixListener) Close() error {
	l.once.Do(func() {
		unlock, err := lockDir(filepath.Dir(l.path))
		if err != nil {
			return // a socket that is left is replaced
		}
		defer unlock()
		if info, err := os.Lstat(l.path); err == nil && os.SameFile(info, l.is) {
			_ = os.Remove(l.path)
		}
	})
	return l.Listener.Close()
}

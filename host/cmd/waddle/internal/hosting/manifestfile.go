package hosting

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/waddle-sessions/waddle/host/tenant"
)

// maxManifest keeps a file that is none from being read into memory.
const maxManifest = tenant.MaxManifest

// identity tells a file from what it was.
type identity struct {
	info fs.FileInfo
	size int64
	time time.Time
	sure bool // nothing written since can have the same time
}

// clockStep is the coarsest step of a file's times that is in use: two writes within it
// may leave the same time.
const clockStep = 2 * time.Second

func (i identity) same(info fs.FileInfo) bool {
	return i.sure && i.info != nil && os.SameFile(i.info, info) && i.size == info.Size() && i.time.Equal(info.ModTime())
}

// readChanged reads a file unless it is the same as before: then content is nil.
func readChanged(path string, before identity, now time.Time) (content []byte, seen identity, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, seen, err
	}
	if before.same(info) {
		return nil, before, nil
	}
	// Opening anything else may block, as a pipe without a writer does.
	if !info.Mode().IsRegular() {
		return nil, seen, fmt.Errorf("%s is %s: a manifest must be an ordinary file", info.Name(), kindOf(info.Mode()))
	}
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, seen, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, seen, err
	}
	if !info.Mode().IsRegular() {
		return nil, seen, fmt.Errorf("%s is %s: a manifest must be an ordinary file", info.Name(), kindOf(info.Mode()))
	}
	if info.Size() > maxManifest {
		return nil, seen, tooLarge(info.Name())
	}
	content, err = io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, seen, err
	}
	if len(content) > maxManifest {
		return nil, seen, tooLarge(info.Name())
	}
	if content == nil {
		content = []byte{}
	}
	return content, identity{info, info.Size(), info.ModTime(), now.Sub(info.ModTime()) > clockStep}, nil
}

func tooLarge(name string) error {
	return fmt.Errorf("%s is too large: a manifest has at most %d bytes; name a plugin's file rather than giving its bytes", name, maxManifest)
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

func sumOf(content []byte) [32]byte { return sha256.Sum256(content) }

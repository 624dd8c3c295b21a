package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/inspect"
	"github.com/waddle-sessions/waddle/host/engines/dynfile"
	"github.com/waddle-sessions/waddle/host/engines/keyfolder"
	"github.com/waddle-sessions/waddle/host/engines/memory"
	"github.com/waddle-sessions/waddle/host/engines/postgres"
	"github.com/waddle-sessions/waddle/host/engines/redis"
)

// moduleNames says how a module can be named.
const moduleNames = "the path of a .wasm file, - for standard input, or a bundled engine: memory, keyfolder, dynfile, redis or postgres"

// bundledModules are the modules that have a name.
var bundledModules = map[string]func() ([]byte, error){
	memory.Name:    memory.Module,
	keyfolder.Name: keyfolder.Module,
	dynfile.Name:   dynfile.Module,
	redis.Name:     redis.Module,
	postgres.Name:  postgres.Module,
}

// module is a WebAssembly module given to a verb.
type module struct {
	name string
	wasm []byte // its beginning, if it is larger than a host takes
	size int64  // of the whole; -1 if it is larger and unknown

	reaches []string // what the URL of a server grants it
}

// readModule reads the module that an argument names: at most one byte more than a
// host takes, which is enough to know that a module is too large.
func readModule(ctx context.Context, name string, env *environment) (*module, error) {
	if unpack, ok := bundledModules[name]; ok {
		wasm, err := unpack()
		return &module{name: name, wasm: wasm, size: int64(len(wasm))}, err
	}
	var m *module
	err := await(ctx, func() (err error) {
		if name == "-" {
			m, err = readAll("standard input", env.stdin, -1)
			return err
		}
		m, err = readModuleFile(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func readModuleFile(name string) (*module, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("there is no file %q: must be %s", name, moduleNames)
	}
	if err != nil {
		return nil, fmt.Errorf("the module cannot be read: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("the module cannot be read: %w", err)
	}
	if info.IsDir() {
		return nil, usagef("%q is a directory: must be %s", name, moduleNames)
	}
	size := int64(-1)
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	return readAll(name, f, size)
}

func readAll(name string, r io.Reader, size int64) (*module, error) {
	wasm, err := io.ReadAll(io.LimitReader(r, inspect.MaxModule+1))
	if err != nil {
		return nil, fmt.Errorf("the module %q cannot be read: %w", name, err)
	}
	if int64(len(wasm)) <= inspect.MaxModule {
		size = int64(len(wasm))
	}
	return &module{name: name, wasm: wasm, size: size}, nil
}

// await returns f's error, or errInterrupted if the context ends first.
func await(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errInterrupted
	}
}

var errInterrupted = errors.New("interrupted")

// oneModule checks the arguments of a verb that takes one module.
func oneModule(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 1:
		return nil
	case 0:
		return usagef("%s needs a module: %s", cmd.Name(), moduleNames)
	}
	return usagef("%s takes one module, got %d: %s", cmd.Name(), len(args), strings.Join(args, " "))
}

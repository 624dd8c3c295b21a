package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	extism "github.com/extism/go-sdk"
)

const (
	moduleExtism = "github.com/extism/go-sdk"
	extismGuest  = "github.com/waddle-sessions/waddle/host/bench/extismguest"
)

// extismCallee is the storage operation as an Extism plugin, called as Extism's
// documentation says: Plugin.Call with the input as bytes.
type extismCallee struct {
	ctx    context.Context
	plugin *extism.Plugin
	gets   [][]byte // the key
	sets   [][]byte // the key and the value
}

func newExtismCallee(ctx context.Context) (*extismCallee, error) {
	wasm, err := buildExtismGuest(ctx)
	if err != nil {
		return nil, err
	}
	manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}}
	plugin, err := extism.NewPlugin(ctx, manifest, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		return nil, fmt.Errorf("extism: %w", err)
	}
	c := &extismCallee{ctx: ctx, plugin: plugin}
	for i := range callKeys {
		key, value := record(i)
		c.gets = append(c.gets, key)
		c.sets = append(c.sets, append(bytes.Clone(key), value...))
	}
	return c, nil
}

func (c *extismCallee) name() string { return nameExtism }
func (c *extismCallee) close() error { return c.plugin.Close(c.ctx) }

func (c *extismCallee) get(i int) ([]byte, error) {
	_, value, err := c.plugin.CallWithContext(c.ctx, "get", c.gets[i])
	return value, err
}

func (c *extismCallee) set(i int) error {
	_, _, err := c.plugin.CallWithContext(c.ctx, "set", c.sets[i])
	return err
}

// buildExtismGuest builds the plugin from its sources. This takes some seconds
// if the standard library was not built for WebAssembly before.
func buildExtismGuest(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "sessions-bench-guest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	build := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, extismGuest)
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the Extism plugin failed (it needs the go command, in the directory host/bench): %w\n%s", err, said)
	}
	return os.ReadFile(out)
}

package plugin

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// codeKey tells apart all that compiles to different code, and where it is kept.
type codeKey struct {
	module [sha256.Size]byte
	dir    string // "" for memory only
	mode   string // how calls are limited, which is compiled in
	engine engineKind
}

// code is the compiled code of one module, shared by all plugins of the process
// that run it. Each module has a cache of its own within wazero, so that its
// code is given back when the last plugin that runs it is closed.
type code struct {
	key  codeKey
	turn chan struct{} // held while compiling: nothing is compiled twice at once

	// The following belong to the holder of turn.
	cache wazero.CompilationCache
	old   []wazero.CompilationCache
	disk  *codeDir // nil if memory only

	refs int // guarded by codes.mu
}

var codes = struct {
	mu  sync.Mutex
	all map[codeKey]*code
}{all: make(map[codeKey]*code)}

func acquireCode(key codeKey) *code {
	codes.mu.Lock()
	defer codes.mu.Unlock()
	c, ok := codes.all[key]
	if !ok {
		c = &code{key: key, turn: make(chan struct{}, 1)}
		codes.all[key] = c
	}
	c.refs++
	return c
}

// release gives the code back. All runtimes that use it must be closed before.
func (c *code) release() error {
	codes.mu.Lock()
	c.refs--
	last := c.refs == 0
	if last {
		delete(codes.all, c.key)
	}
	codes.mu.Unlock()
	if !last {
		return nil
	}
	var errs []error
	for _, cache := range append(c.old, c.cache) {
		if cache != nil {
			errs = append(errs, cache.Close(context.Background()))
		}
	}
	return errors.Join(errs...)
}

// compiled is a module ready to be instantiated in its runtime.
type compiled struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
	took    time.Duration
	source  string // where the code came from
}

// Where code came from.
const (
	sourceCompiled = "compiled"
	sourceMemory   = "memory"
	sourceDisk     = "directory"
)

// compile compiles the module, or takes what this process or an earlier one
// has compiled. Trouble with the directory is reported to warn and costs no more
// than the time to compile.
func (c *code) compile(ctx context.Context, wasm []byte, config wazero.RuntimeConfig, warn func(string, error)) (*compiled, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.turn }()

	start := time.Now()
	out := &compiled{source: sourceMemory}
	if c.cache == nil {
		out.source = sourceCompiled
		c.cache = wazero.NewCompilationCache()
		if c.key.dir != "" {
			disk, cache, err := openCodeDir(c.key)
			switch {
			case err != nil:
				warn("compiled code is kept in memory only", err)
			case disk.hit:
				out.source = sourceDisk
				fallthrough
			default:
				c.disk, c.cache = disk, cache
			}
		}
	}
	err := out.build(ctx, wasm, config.WithCompilationCache(c.cache))
	if err != nil && c.disk != nil && isCacheFault(err) {
		warn("compiled code is kept in memory only", err)
		c.old = append(c.old, c.cache)
		c.cache, c.disk = wazero.NewCompilationCache(), nil
		out.source = sourceCompiled
		err = out.build(ctx, wasm, config.WithCompilationCache(c.cache))
	}
	if err != nil {
		return nil, err
	}
	if c.disk != nil && !c.disk.readOnly && out.source != sourceMemory {
		grown, err := c.disk.grown()
		if grown {
			out.source = sourceCompiled
			err = c.disk.seal()
		}
		if err != nil {
			warn("compiled code cannot be kept", err)
		}
	}
	out.took = time.Since(start)
	return out, nil
}

// build compiles on one goroutine: a panic of wazero's compiler can be
// recovered from there, and could not be on a worker of its own.
func (out *compiled) build(ctx context.Context, wasm []byte, config wazero.RuntimeConfig) error {
	err := guarded(func() (err error) {
		out.runtime = wazero.NewRuntimeWithConfig(ctx, config)
		out.module, err = out.runtime.CompileModule(ctx, wasm)
		return err
	})
	if err != nil {
		out.close()
	}
	return err
}

func (out *compiled) close() error {
	var errs []error
	ctx := context.Background()
	if out.module != nil {
		errs = append(errs, out.module.Close(ctx))
	}
	if out.runtime != nil {
		errs = append(errs, out.runtime.Close(ctx))
	}
	out.module, out.runtime = nil, nil
	return errors.Join(errs...)
}

// isCacheFault tells trouble with the directory, after which compiling without
// it may go well, from a module that does not compile.
func isCacheFault(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link) || strings.Contains(err.Error(), "compilationcache")
}

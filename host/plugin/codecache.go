package plugin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
)

// codeKey tells apart what compiles to different code or is kept elsewhere.
type codeKey struct {
	module  [sha256.Size]byte
	dir     string          // "" for memory only
	rewrite rewrite.Options // what is added to the module before it is compiled
	debug   bool            // it knows its source lines
	runtime runtimeKind
}

// codes is the compiled code of a host.
type codes struct {
	mu  sync.Mutex
	all map[codeKey]*code
}

// code is the compiled code of one module, with the functions of the host that it
// imports. All plugins of the host that run it share it. It is released when the last
// plugin that runs it and the last [Module] of it have been closed.
type code struct {
	host *Host
	key  codeKey
	turn chan struct{} // held while compiling: nothing is compiled twice at once

	// compiled belongs to the holder of turn until it is set. After that it does not
	// change before the last reference is gone. The same goes for its caches.
	compiled *compiled
	caches   []wazero.CompilationCache

	shared atomic.Pointer[pool] // nil if guests of the module take no turns on executors

	refs int // guarded by codes.mu
}

func (h *Host) acquireCode(key codeKey) *code {
	h.codes.mu.Lock()
	defer h.codes.mu.Unlock()
	c, ok := h.codes.all[key]
	if !ok {
		c = &code{host: h, key: key, turn: make(chan struct{}, 1)}
		h.codes.all[key] = c
	}
	c.refs++
	return c
}

func (c *codes) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// release returns a reference to the code. Its holder may have no instance left.
func (c *code) release() error {
	codes := &c.host.codes
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
	if pool := c.shared.Load(); pool != nil {
		errs = append(errs, pool.close())
	}
	if c.compiled != nil {
		errs = append(errs, c.compiled.close())
		c.host.budgets.mappings.give(mappingsOfCode)
	}
	for _, cache := range c.caches {
		errs = append(errs, cache.Close(context.Background()))
	}
	return errors.Join(errs...)
}

// compiled is a module ready to be instantiated in its runtime, any number of times.
type compiled struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
	numbers []string // of functions that were added, as in a trace

	// Of a module whose guests may take turns on executors; see [rewrite.Report].
	movable   []uint32
	maxMemory uint32 // pages
	memory    uint32 // pages, from the start
	beside    int64  // bytes that an instance takes in the host
	fixed     string // why they may not
}

// loading says how the code was obtained.
type loading struct {
	took   time.Duration
	source string // where the code came from
}

// Where code came from.
const (
	sourceCompiled = "compiled"
	sourceMemory   = "memory"
	sourceDisk     = "directory"
)

// load compiles the module, or takes code that this host or an earlier process has
// compiled. It reports trouble with the directory to warn; that costs no more than the
// time to compile.
func (c *code) load(ctx context.Context, b *checked, warn func(string, error)) (loading, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return loading{}, ctx.Err()
	}
	defer func() { <-c.turn }()

	start := time.Now()
	done := loading{source: sourceMemory}
	if c.compiled == nil {
		if err := c.host.budgets.mappings.take(mappingsOfCode); err != nil {
			c.host.limits.count(LimitMappings)
			return loading{}, err
		}
		var err error
		if done.source, err = c.compile(ctx, b, warn); err != nil {
			c.host.budgets.mappings.give(mappingsOfCode)
			return loading{}, err
		}
		c.host.compiled.Add(1)
	}
	done.took = time.Since(start)
	return done, nil
}

// compile rewrites and compiles the module and returns where the code came from.
func (c *code) compile(ctx context.Context, b *checked, warn func(string, error)) (source string, err error) {
	source = sourceCompiled
	disk, cache := c.openDir(warn)
	if disk == nil || !disk.hit {
		leave, err := c.host.queue.enter(ctx, b.outline.CompileCost)
		if err != nil {
			c.host.limits.count(LimitCompiling)
			return "", err
		}
		defer leave()
		defer c.host.turns.Work()()
		if disk != nil { // another process may have filled it meanwhile
			disk, cache = c.openDir(warn)
		}
	}
	wasm, report, err := rewrite.Module(b.wasm, c.key.rewrite)
	if err != nil {
		return "", err
	}
	if c.key.rewrite.Meter {
		ctx = hooked(ctx, report.Hook)
	}
	defer func() {
		if err == nil {
			c.compiled.numbers = []string{fmt.Sprintf("$%d", report.Hook), fmt.Sprintf("$%d", report.Entry)}
			c.compiled.movable, c.compiled.maxMemory, c.compiled.fixed = report.Movable, report.MaxMemory, report.Fixed
			if c.key.rewrite.Movable && report.Fixed == "" {
				c.compiled.memory = uint32(b.outline.Memory.Min)
				c.compiled.beside = b.outline.InstanceSize(c.key.runtime == runtimeInterpreter)
				c.shared.Store(newPool(c.host.seats))
			}
		}
	}()
	if c.key.rewrite.Meter && (disk == nil || !disk.hit) {
		if err := checkMetered(wasm, b.limits); err != nil {
			return "", err
		}
	}
	if disk != nil {
		c.caches = append(c.caches, cache)
		if disk.hit {
			source = sourceDisk
		}
		c.compiled, err = c.build(ctx, b, wasm, cache)
		if err != nil && isCacheFault(err) {
			warn("compiled code is kept in memory only", err)
			disk, source = nil, sourceCompiled
		}
	}
	if disk == nil {
		c.compiled, err = c.build(ctx, b, wasm, nil)
	}
	if err != nil {
		return "", err
	}
	if disk != nil && !disk.readOnly {
		grown, err := disk.grown()
		if grown {
			source = sourceCompiled
			err = disk.seal()
		}
		if err != nil {
			warn("compiled code cannot be kept", err)
		}
	}
	return source, nil
}

// openDir opens the directory that keeps the code, and returns nil if there is none to use.
func (c *code) openDir(warn func(string, error)) (*codeDir, wazero.CompilationCache) {
	if c.key.dir == "" {
		return nil, nil
	}
	disk, cache, err := openCodeDir(c.key)
	if err != nil {
		warn("compiled code is kept in memory only", err)
		return nil, nil
	}
	return disk, cache
}

// build compiles wasm, which was made of the module, on one goroutine: it can recover
// from a panic of wazero's compiler there, and could not on a worker of the compiler. The memory limit of an instance is
// not compiled in; [linearMemory] enforces it.
func (c *code) build(ctx context.Context, b *checked, wasm []byte, cache wazero.CompilationCache) (*compiled, error) {
	pages := uint32(maxPages)
	if c.key.rewrite.Movable {
		pages++ // a memory of the largest size must seem to grow when another takes its place
	}
	config := runtimeConfig(c.key.runtime).WithDebugInfoEnabled(c.key.debug).WithMemoryLimitPages(pages)
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	out := new(compiled)
	err := guarded(func() (err error) {
		out.runtime = wazero.NewRuntimeWithConfig(ctx, config)
		out.module, err = out.runtime.CompileModule(ctx, wasm)
		return err
	})
	if err == nil {
		err = b.permissions.export(out.runtime, b.outline.Imports)
	}
	if err != nil {
		_ = out.close()
		return nil, err
	}
	return out, nil
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
	return errors.Join(errs...)
}

// isCacheFault tells trouble with the directory from a module that does not compile.
// After the former, compiling without the directory may succeed.
func isCacheFault(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link) || strings.Contains(err.Error(), "compilationcache")
}

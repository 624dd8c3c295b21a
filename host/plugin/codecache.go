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
	"github.com/tetratelabs/wazero/experimental"
	"github.com/waddle-sessions/waddle/host/internal/rewrite"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
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

	shared  atomic.Pointer[pool]             // nil if guests of the module take no turns on executors
	outline atomic.Pointer[preflight.Module] // of the module, when it has been compiled

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

// outline returns the outline of a module of which the host has that code, or nil.
func (h *Host) outline(key codeKey) *preflight.Module {
	h.codes.mu.Lock()
	defer h.codes.mu.Unlock()
	if c, ok := h.codes.all[key]; ok {
		return c.outline.Load()
	}
	return nil
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
func (c *code) load(ctx context.Context, b *checked, disk *codeDir, warn func(string, error)) (loading, error) {
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
		if done.source, err = c.compile(ctx, b, disk, warn); err != nil {
			c.host.budgets.mappings.give(mappingsOfCode)
			return loading{}, err
		}
		c.outline.Store(b.outline)
		c.host.compiled.Add(1)
	}
	done.took = time.Since(start)
	return done, nil
}

// compile takes the code from its directory, or rewrites and compiles the module, and returns
// where the code came from. The directory is nil if it was not opened.
func (c *code) compile(ctx context.Context, b *checked, disk *codeDir, warn func(string, error)) (source string, err error) {
	if disk == nil {
		disk = c.openDir(warn)
	}
	if c.restore(ctx, b, disk, warn) {
		return sourceDisk, nil
	}
	leave, err := c.host.queue.enter(ctx, b.outline.CompileCost)
	if err != nil {
		c.host.limits.count(LimitCompiling)
		return "", err
	}
	defer leave()
	defer c.host.turns.Work()()
	if disk != nil { // another process may have filled it meanwhile
		if disk = c.openDir(warn); c.restore(ctx, b, disk, warn) {
			return sourceDisk, nil
		}
	}
	original, err := b.module.bytes()
	if err != nil {
		return "", err
	}
	wasm, report, err := rewrite.Module(original, c.key.rewrite)
	if err != nil {
		return "", err
	}
	if c.key.rewrite.Meter {
		if err := checkMetered(wasm, b.limits); err != nil {
			return "", err
		}
	}
	return sourceCompiled, c.make(ctx, b, disk, wasm, report, warn)
}

// openDir opens the directory that keeps the code, and returns nil if there is none to use.
func (c *code) openDir(warn func(string, error)) *codeDir {
	if c.key.dir == "" {
		return nil
	}
	disk, err := openCodeDir(c.key)
	if err != nil {
		warn("compiled code is kept in memory only", err)
		return nil
	}
	return disk
}

// restore takes the code from its directory, if it is there.
func (c *code) restore(ctx context.Context, b *checked, disk *codeDir, warn func(string, error)) bool {
	if disk == nil || disk.kept == nil {
		return false
	}
	cache, err := wazero.NewCompilationCacheWithDir(disk.path)
	if err == nil {
		err = c.build(onlyFound(c.hooked(ctx, &disk.kept.Report)), b, disk.kept.thin, &disk.kept.Report, cache)
		if err == nil {
			return true
		}
		_ = cache.Close(ctx)
	}
	if !errors.Is(err, errNoCode) { // which may be that of another processor
		warn("compiled code cannot be used, and is made again", err)
	}
	return false
}

// make compiles wasm, which was made of the module, and keeps the code if it can.
func (c *code) make(ctx context.Context, b *checked, disk *codeDir, wasm []byte, report *rewrite.Report, warn func(string, error)) error {
	ctx = experimental.WithCompilationWorkers(c.hooked(ctx, report), c.host.workers(b.module))
	if disk == nil || disk.readOnly {
		return c.build(ctx, b, wasm, report, nil)
	}
	work, err := disk.work()
	if err == nil {
		defer work.remove()
		if err = c.build(ctx, b, wasm, report, work.cache); err != nil {
			_ = work.cache.Close(ctx)
		}
		if err != nil && !isCacheFault(err) {
			return err
		}
	}
	if err != nil {
		warn("compiled code is kept in memory only", err)
		return c.build(ctx, b, wasm, report, nil)
	}
	if err := work.keep(c, b, wasm, report); err != nil {
		warn("compiled code cannot be kept", err)
	}
	return nil
}

// hooked gives a context to compile with what the rewritten module needs.
func (c *code) hooked(ctx context.Context, report *rewrite.Report) context.Context {
	if !c.key.rewrite.Meter {
		return ctx
	}
	return hooked(ctx, report.Hook)
}

// build makes the code of wasm, which was made of the module: it compiles it or finds its code in
// a cache, which it takes over then. The context says by how many workers; see [Host.workers]. The
// memory limit of an instance is not compiled in; [linearMemory] enforces it.
func (c *code) build(ctx context.Context, b *checked, wasm []byte, report *rewrite.Report, cache wazero.CompilationCache) error {
	out := new(compiled)
	err := guarded(func() (err error) {
		out.runtime = wazero.NewRuntimeWithConfig(context.WithoutCancel(ctx), c.config(cache))
		out.module, err = out.runtime.CompileModule(ctx, wasm)
		return err
	})
	if err == nil {
		err = b.permissions.export(out.runtime, b.outline.Imports)
	}
	if err != nil {
		_ = out.close()
		return err
	}
	if cache != nil {
		c.caches = append(c.caches, cache)
	}
	out.numbers = []string{fmt.Sprintf("$%d", report.Hook), fmt.Sprintf("$%d", report.Entry)}
	out.movable, out.maxMemory, out.fixed = report.Movable, report.MaxMemory, report.Fixed
	if c.key.rewrite.Movable && report.Fixed == "" {
		out.memory = uint32(b.outline.Memory.Min)
		out.beside = b.outline.InstanceSize(c.key.runtime == runtimeInterpreter)
		c.shared.Store(newPool(c.host.seats))
	}
	c.compiled = out
	return nil
}

// config is how wazero compiles the code.
func (c *code) config(cache wazero.CompilationCache) wazero.RuntimeConfig {
	pages := uint32(maxPages)
	if c.key.rewrite.Movable {
		pages++ // a memory of the largest size must seem to grow when another takes its place
	}
	config := runtimeConfig(c.key.runtime).WithDebugInfoEnabled(c.key.debug).WithMemoryLimitPages(pages)
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	return config
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

package plugin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/printable"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/repeats"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Plugin is a guest that runs. It is a [store.Store] and may be used by many
// goroutines at once.
type Plugin struct {
	config      settled
	module      *preflight.Module
	store       *protocol.Store
	machine     machine
	engine      engineKind
	code        *code
	compileTime time.Duration
	codeSource  string

	clock     *steadyClock
	mounts    mounts
	snapshots *snapshots // nil for none

	stopLoops context.CancelFunc
	loops     sync.WaitGroup
}

// Open runs a guest from the bytes of its module, which it does not keep. The
// context can end waiting, for another Open of the same module or for a directory
// (see [Config.LockWait]); it has no influence on the plugin afterwards. A guest that is refused gives a
// [*LoadError]. Close the plugin when it is no longer needed.
func Open(ctx context.Context, wasm []byte, config Config) (*Plugin, error) {
	return open(ctx, wasm, config, "guest", bestEngine())
}

// OpenFile is [Open] for a file.
func OpenFile(ctx context.Context, name string, config Config) (*Plugin, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return openReader(ctx, f, filepath.Base(name), config)
}

// OpenFS is [Open] for a file of a file system.
func OpenFS(ctx context.Context, fsys fs.FS, name string, config Config) (*Plugin, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return openReader(ctx, f, path.Base(name), config)
}

func openReader(ctx context.Context, r io.Reader, name string, config Config) (*Plugin, error) {
	most := config.MaxModule
	if most <= 0 {
		most = defaultModule
	}
	// One byte more than allowed, so that a file that is too long is found to
	// be without being read to its end.
	wasm, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	return open(ctx, wasm, config, name, bestEngine())
}

// open runs a guest under the name of the config, or else the one it gives
// itself, or else the one given here.
func open(ctx context.Context, wasm []byte, config Config, name string, engine engineKind) (_ *Plugin, err error) {
	defer func() {
		var refused *LoadError
		if errors.As(err, &refused) && refused.Plugin == "" {
			refused.Plugin = cmp.Or(config.Name, name)
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	settled, err := config.settle()
	if err != nil {
		return nil, err
	}
	limits := settled.Limits
	limits.Module = int(min(settled.MaxModule, math.MaxInt32))
	module, err := check(wasm, limits)
	if err != nil {
		return nil, err
	}
	if err := settled.divide(module, engine == engineInterpreter); err != nil {
		return nil, err
	}
	p := &Plugin{config: settled, engine: engine, module: module}
	p.clock = &steadyClock{now: settled.Now, passed: settled.passed, log: settled.Logger, name: config.Name}
	p.store = protocol.New(p.protocol(name))
	p.machine.log = &guestLog{logger: settled.Logger, name: p.store.Name, now: settled.Now, said: repeats.Filter{First: logRepeats}}
	p.machine.limit.Store(int64(settled.Deadline))
	if settled.Deadline > 0 {
		p.machine.openLimit = settled.OpenDeadline
	}
	p.config.sayMemory()
	if engine == engineInterpreter {
		settled.Logger.Warn("there is no compiler for this platform: the guest is interpreted, which is many times slower",
			"plugin", config.Name, "platform", runtime.GOOS+"/"+runtime.GOARCH)
	}
	if err := p.compile(ctx, wasm); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return p.mount(ctx) },
		func() error { return p.start() },
		func() error { return p.adopt() },
		func() error { return p.restoreSnapshot(ctx) },
	} {
		if err := step(); err != nil {
			p.discard()
			return nil, err
		}
	}
	p.startLoops()
	return p, nil
}

// protocol is what the guest's store is made with.
func (p *Plugin) protocol(name string) protocol.Config {
	c := protocol.Config{
		Name: p.config.Name, DefaultName: name,
		Shards:      p.config.Shards,
		New:         func(shard int) (protocol.Instance, error) { return newInstance(&p.machine, shard) },
		Pairs:       p.config.pairs,
		Admit:       p.admit,
		Fail:        func(f *protocol.Failure) error { return (*Error)(f) },
		Queue:       p.config.Deadline > 0,
		MemoryLimit: p.config.shardLimit,
		FileBytes:   p.config.fileBytes(),
		KeepsFiles:  p.config.keepsFiles(),
		SaveEach:    p.config.Durability == DurabilityCommit,
		Logger:      p.config.Logger,
		Now:         p.config.Now,
		Judge:       p.notAfterJudged,
		Patience:    p.config.patience,
		CloseGrace:  p.config.closeGrace,
	}
	if p.config.keepsFiles() {
		c.Writable = p.mounts.present
	}
	if p.config.Deadline > 0 {
		c.Sequence = p.config.sequence
	}
	return c
}

// restoreSnapshot gives the guest what the last run of the program left it.
func (p *Plugin) restoreSnapshot(ctx context.Context) (err error) {
	if p.config.Snapshots == "" {
		return nil
	}
	for _, export := range []string{abi.ExportSnapshot, abi.ExportRestore} {
		if !p.has(export) {
			return loadError(ErrExport, nil, "Snapshots needs the export %s, which the guest does not have", export)
		}
	}
	if p.store.Description().Remote {
		return configError("Snapshots for a guest whose records lie elsewhere: to restore them would undo what others did there since")
	}
	if p.snapshots, err = p.openSnapshots(ctx, p.config.Snapshots); err != nil {
		return err
	}
	if err := p.snapshots.restore(p); err != nil {
		return err
	}
	p.store.SetArchive(p.snapshots)
	return nil
}

func (p *Plugin) compile(ctx context.Context, wasm []byte) error {
	dir := prepareCacheDir(&p.config)
	if p.engine == engineInterpreter {
		dir = "" // it keeps nothing in files
	}
	if p.config.DebugInfo {
		if err := checkDebugInfo(p.module, wasm); err != nil {
			p.config.DebugInfo = false
			p.config.Logger.Warn("the debug sections are not used", "plugin", p.config.Name, "error", err)
		}
	}
	mode := p.config.mode()
	p.code = acquireCode(codeKey{module: sha256.Sum256(wasm), dir: dir, mode: mode, engine: p.engine})
	config := limitConfig(runtimeConfig(p.engine), mode).WithMemoryLimitPages(uint32(p.config.shardLimit / pageSize))
	var err error
	p.machine.compiled, err = p.code.compile(ctx, wasm, config, func(message string, err error) {
		p.config.Logger.Warn(message, "plugin", p.config.Name, "error", err)
	})
	if err == nil {
		p.compileTime, p.codeSource = p.machine.compiled.took, p.machine.compiled.source
		err = p.provide()
	}
	if err == nil {
		return nil
	}
	p.discard()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return loadError(ErrModule, err, "it does not compile: %s", printable.Clean(string(printable.Cut([]byte(err.Error()), maxFault))))
}

// provide instantiates the host's modules that the guest imports.
func (p *Plugin) provide() error {
	ctx := context.Background()
	wanted := make(map[string]bool)
	for _, i := range p.module.Imports {
		wanted[i.Module] = true
	}
	if wanted[abi.ModuleName] {
		if _, err := waddleModule(p.machine.compiled.runtime).Instantiate(ctx); err != nil {
			return err
		}
	}
	if wanted[abi.ModuleWASI] {
		if _, err := wasiModule(p.machine.compiled.runtime).Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// start brings up all shards: the first, which says what the guest is, and then
// the others side by side.
func (p *Plugin) start() error {
	p.machine.files, p.machine.debug = p.mounts.config, p.config.DebugInfo
	errs := make([]error, p.config.Shards)
	errs[0] = p.store.Open(0)
	p.config.Name = p.store.Name()
	if errs[0] == nil {
		var wait sync.WaitGroup
		turns := make(chan struct{}, runtime.GOMAXPROCS(0))
		for i := 1; i < len(errs); i++ {
			wait.Go(func() {
				turns <- struct{}{}
				errs[i] = p.store.Open(i)
				<-turns
			})
		}
		wait.Wait()
	}
	for i, err := range errs {
		if err != nil {
			return p.refuse(i, err)
		}
	}
	return nil
}

// refuse says why an instance could not be brought up.
func (p *Plugin) refuse(shard int, err error) error {
	if other := p.refuseShards(shard, err); other != nil {
		return other
	}
	cause := (*Error)(p.store.Failure("open", shard, err))
	detail := cause.Message
	switch {
	case cause.Kind == nil:
		detail = fmt.Sprintf("it answered %v", cause.Code)
		if cause.Message != "" {
			detail += ": " + cause.Message
		}
	case cause.Kind == ErrExit:
		detail = fmt.Sprintf("it exited with code %d", cause.ExitCode)
	case cause.Kind == ErrDeadline:
		detail = fmt.Sprintf("it took longer than %v", p.config.OpenDeadline)
	}
	return &LoadError{Plugin: p.config.Name, Kind: ErrOpen, Detail: fmt.Sprintf("shard %d: %s", shard, detail), Err: cause}
}

// discard releases everything that an Open that failed has acquired.
func (p *Plugin) discard() {
	p.store.Discard()
	_ = p.free()
}

// free gives back the code. No instance may be left.
func (p *Plugin) free() error {
	var errs []error
	if p.machine.compiled != nil {
		errs = append(errs, p.machine.compiled.close())
	}
	if p.code != nil {
		errs = append(errs, p.code.release())
	}
	p.machine.compiled, p.code = nil, nil
	errs = append(errs, p.mounts.close())
	if p.snapshots != nil {
		errs = append(errs, p.snapshots.close())
	}
	return errors.Join(errs...)
}

func (p *Plugin) has(export string) bool { return p.module.Export(export) != nil }

package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/repeats"
	"github.com/waddle-sessions/waddle/host/plugin/preflight"
)

// Plugin is a guest that runs. It is a [store.Store] and may be used by many
// goroutines at once.
type Plugin struct {
	config  resolved
	module  *preflight.Module
	store   *protocol.Store
	machine machine
	code    *code
	loading loading

	clock     *steadyClock
	mounts    mounts
	snapshots *snapshots // nil for none

	chores chores

	notShared atomic.Pointer[string] // why its guests take no turns on executors, although they may; nil if they do
}

// Open runs a guest from the bytes of its module, which it does not keep. If the guest
// is refused, the error is a [*LoadError]. Close the plugin when it is no longer needed.
//
// The context can end the time that Open waits: for another Open of the same module, or
// for a directory (see [Config.LockWait]). It has no influence on the plugin afterwards.
//
// To open many plugins of one module, check and compile it once with [Host.Compile].
func Open(ctx context.Context, wasm []byte, config Config) (*Plugin, error) {
	return open(ctx, given(wasm), config, "guest")
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
	most := config.Limits.orDefault().Module
	// One byte more than allowed shows that a file is too long without reading it to
	// its end. A Module below 0 is refused later.
	wasm, err := io.ReadAll(io.LimitReader(r, max(most, 0)+1))
	if err != nil {
		return nil, err
	}
	return open(ctx, given(wasm), config, name)
}

// open runs a guest. Its name is the config's, or else its own, or else the one given
// here.
func open(ctx context.Context, module Embedded, config Config, name string) (_ *Plugin, err error) {
	defer cmp.Or(config.Host, DefaultHost()).refused(&err, cmp.Or(config.Name, name))
	resolved, err := config.resolve(name)
	if err != nil {
		return nil, err
	}
	if err := resolved.Host.refuses(ctx); err != nil {
		return nil, err
	}
	b, disk, err := resolved.read(module)
	if err != nil {
		return nil, err
	}
	return b.open(ctx, resolved, disk)
}

// open runs the guest. The directory of its code is nil if it was not opened.
func (b *checked) open(ctx context.Context, resolved resolved, disk *codeDir) (_ *Plugin, err error) {
	if err := resolved.permissions.admit(b.outline, &resolved.Config); err != nil {
		return nil, err
	}
	if err := resolved.divide(b.outline, resolved.Host.runtime() == runtimeInterpreter); err != nil {
		return nil, err
	}
	p := &Plugin{config: resolved, module: b.outline}
	p.machine.limits.all = &resolved.Host.limits
	p.clock = &steadyClock{now: resolved.Now, passed: resolved.passed, log: resolved.Logger, name: p.Name}
	p.machine.meters = newMeters(&resolved, &p.machine.limits)
	p.store = protocol.New(p.protocol())
	p.machine.log = &guestLog{
		logger: resolved.Logger, name: p.store.Name, now: resolved.Now, said: repeats.Filter{First: logRepeats},
		lines: newBucket(resolved.LogLines), bytes: newBucket(resolved.LogBytes), limits: &p.machine.limits,
	}
	p.machine.allowed.Store(&bounds{fuel: resolved.Fuel, time: resolved.Deadline})
	p.machine.openAllowed = bounds{fuel: resolved.OpenFuel, time: resolved.OpenDeadline}
	p.machine.exports = exportsOf(b.outline)
	p.machine.granted = resolved.granted
	p.machine.flow = resolved.Host.turns.Flow()
	p.machine.budgets, p.machine.memoryLimit = resolved.Host.budgets, uint64(resolved.shardLimit)
	p.config.sayMemory()
	p.config.sayInterpreted()
	if p.code, p.loading, err = b.load(ctx, &p.config, disk); err != nil {
		return nil, err
	}
	p.machine.compiled = p.code.compiled
	p.share()
	for _, step := range []func() error{
		func() error { return p.config.granted.open(ctx, p) },
		func() error { return p.start() },
		p.checkSleep,
		func() error { return p.adopt() },
		func() error { return p.restoreSnapshot(ctx) },
		func() error { return p.config.Host.enter(p) },
	} {
		if err := step(); err != nil {
			p.discard()
			return nil, err
		}
	}
	p.chores.begin(p)
	return p, nil
}

// sayInterpreted logs why the guest is slow.
func (s *resolved) sayInterpreted() {
	if s.Host.runtime() == runtimeInterpreter {
		s.Logger.Warn("there is no compiler for this platform: the guest is interpreted, which is many times slower",
			"plugin", s.name, "platform", runtime.GOOS+"/"+runtime.GOARCH)
	}
}

// protocol returns the config of the guest's store.
func (p *Plugin) protocol() protocol.Config {
	c := protocol.Config{
		Name: p.config.Name, DefaultName: p.config.name,
		Shards:      p.config.Shards,
		MaxCalls:    p.config.MaxCalls,
		MaxQueue:    p.config.MaxQueue,
		QueueWait:   p.config.QueueWait,
		New:         p.newGuest,
		Pairs:       p.config.pairs,
		Admit:       p.admit,
		Opened:      func(shard int) { p.chores.opened(shard) },
		Woken:       func(int) { p.chores.woken() },
		Exceeded:    p.machine.limits.count,
		Fail:        func(f *protocol.Failure) error { return (*Error)(f) },
		MaxKey:      p.config.MaxKey,
		MaxValue:    p.config.MaxValue,
		MemoryLimit: p.config.shardLimit,
		FileBytes:   p.config.fileBytes(),
		KeepsFiles:  p.config.keepsFiles(),
		Keep:        func(bytes int) error { return p.account().keep(bytes) },
		Drop:        func(bytes int) { p.account().give(uint64(bytes)) },
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
	if !p.config.Trusted {
		c.Sequence, c.BatchTime = p.config.sequence, p.config.Deadline/protocol.BatchTimes
	}
	if m := p.machine.meters; m != nil && m.allowance != nil {
		c.Allow = m.allow
	}
	return c
}

func (p *Plugin) account() account { return account{p.machine.budgets, &p.machine.limits} }

// checkSleep refuses SleepAfter for a guest that could not be woken with its records.
func (p *Plugin) checkSleep() error {
	if p.config.SleepAfter == 0 || p.config.keepsFiles() || p.shared() {
		return nil
	}
	err := p.needs("SleepAfter", abi.ExportSnapshot, abi.ExportRestore)
	if err == nil {
		return nil
	}
	// A guest whose records lie elsewhere needs neither.
	d, refused := p.description()
	switch {
	case refused != nil:
		return refused
	case d.Remote:
		return nil
	}
	return err
}

// description returns what the guest says of itself. To find out, it opens the first
// instance.
func (p *Plugin) description() (*protocol.Description, error) {
	if err := p.store.Open(0); err != nil {
		return nil, p.refuse(0, err)
	}
	return p.store.Description(), nil
}

// remote reports whether the guest says that its records lie elsewhere.
func (p *Plugin) remote() bool {
	d := p.store.Description()
	return d != nil && d.Remote
}

// needs refuses a guest that lacks exports that a field of the config needs.
func (p *Plugin) needs(field string, exports ...string) error {
	for _, export := range exports {
		if !p.has(export) {
			return loadError(ErrExport, nil, "%s needs the export %s, which the guest does not have", field, export)
		}
	}
	return nil
}

// restoreSnapshot gives the guest the records of the program's last run.
func (p *Plugin) restoreSnapshot(ctx context.Context) (err error) {
	if p.config.Snapshots == "" {
		return nil
	}
	if err := p.needs("Snapshots", abi.ExportSnapshot, abi.ExportRestore); err != nil {
		return err
	}
	if d, err := p.description(); err != nil {
		return err
	} else if d.Remote {
		return configError("Snapshots is set for a guest whose records lie elsewhere: leave it out, since restoring a snapshot would undo what others did there since")
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

// start opens all shards: the first, which describes the guest, and then the others in
// parallel. A lazy plugin opens its shards at their first call, unless the guest has to
// say whether it takes a directory.
func (p *Plugin) start() error {
	p.machine.files, p.machine.debug = p.mounts.config, p.config.DebugInfo
	p.machine.prepare()
	if p.config.Lazy && len(p.mounts.others)+len(p.mounts.unnoted) == 0 {
		return nil
	}
	errs := make([]error, p.config.Shards)
	errs[0] = p.store.Open(0)
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

// refuse returns the error of Open for an instance that could not be opened.
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
	case cause.Used > 0: // it exceeded a bound
		detail = cause.what()
	}
	return &LoadError{Plugin: p.Name(), Kind: ErrOpen, Detail: fmt.Sprintf("shard %d: %s", shard, detail), Err: cause}
}

// discard releases everything that an Open that failed has acquired.
func (p *Plugin) discard() {
	p.store.Discard()
	_ = p.free()
}

// free releases the code. There must be no instance left.
func (p *Plugin) free() error {
	var errs []error
	p.config.Host.leave(p)
	if p.code != nil {
		errs = append(errs, p.code.release())
	}
	p.machine.compiled, p.machine.pool, p.code = nil, nil, nil
	errs = append(errs, p.config.granted.close(p))
	if p.snapshots != nil {
		errs = append(errs, p.snapshots.close())
	}
	return errors.Join(errs...)
}

func (p *Plugin) has(export string) bool { return p.module.Export(export) != nil }

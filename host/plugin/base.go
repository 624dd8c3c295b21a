package plugin

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/internal/repeats"
	"github.com/waddle-sessions/waddle/host/plugin/internal/image"
)

// base is what the guests of a module that take turns on executors begin as: an instance that was
// initialised and described, and no more. It is made for the first of them.
type base struct {
	mu   sync.Mutex // held while it is made
	done bool

	begun   *image.Image // of the memory
	globals []uint64
	// opened is the image of the same guest after it was opened with a config of the host's own,
	// or begun if it did not open so. It belongs to no plugin. What sleeps is what differs from
	// it, which is less than what differs from begun.
	opened *image.Image

	description []byte
	described   error // the answer in its place

	charges []charge
}

// errEmpty is that a guest has no memory to be put on an executor.
var errEmpty = errors.New("its memory is empty until the guest is opened")

// prepare makes the base if there is none yet. If that fails, the guest cannot begin, or not in the
// machine's bounds, and the next one tries again.
func (b *base) prepare(m *machine) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return nil
	}
	inst, err := newInstance(m.anonymous(), 0)
	if err != nil {
		return err
	}
	defer inst.Close()
	if err := b.begin(inst); err != nil {
		var fault *protocol.Fault
		if errors.As(err, &fault) {
			fault.Output = inst.Output()
		}
		return err
	}
	b.open(inst)
	if err := b.charge(account{m.budgets, &m.limits}); err != nil {
		_ = b.close()
		return notStarted(err)
	}
	b.done = true
	return nil
}

// charge takes what the images take from the host's budgets.
func (b *base) charge(a account) error {
	images, bytes := int64(1), b.begun.Stored()
	if b.opened != b.begun {
		images, bytes = 2, bytes+b.opened.Stored()
	}
	for _, c := range []charge{{a.budgets.memory, int64(bytes)}, {a.budgets.mappings, images}, {a.budgets.handles, images}} {
		if err := a.charge(c.budget, c.n); err != nil {
			return err
		}
		b.charges = append(b.charges, c)
	}
	return nil
}

// charge is what was taken from a budget.
type charge struct {
	budget *budget
	n      int64
}

// begin takes the image of an instance before it is opened.
func (b *base) begin(inst *instance) error {
	if err := inst.Initialize(); err != nil {
		return err
	}
	description, err := inst.Describe()
	if _, answered := protocol.CodeOf(err); err != nil && !answered {
		return err
	}
	b.description, b.described = append([]byte(nil), description...), err
	memory := inst.extent.view
	if len(memory) == 0 {
		return errEmpty
	}
	if b.begun, err = image.New(memory); err != nil {
		return notStarted(fmt.Errorf("an image of the guest: %w", err))
	}
	b.opened, b.globals = b.begun, nil
	for _, g := range movable(inst.on.mod, inst.machine.compiled.movable) {
		b.globals = append(b.globals, g.Get())
	}
	return nil
}

// open takes the image of the same instance after it was opened. A guest need not open
// without the settings that it is made for.
func (b *base) open(inst *instance) {
	m := inst.machine
	pairs := (&resolved{Config: Config{Shards: 1}, shardLimit: int64(m.memoryLimit)}).pairs(0)
	if inst.Open(pairs) != nil {
		return
	}
	if opened, err := image.New(inst.extent.view); err == nil {
		b.opened = opened
	}
}

// fits returns the larger of the images that a memory of so many bytes has room for.
func (b *base) fits(limit uint64) *image.Image {
	if b.opened.Size() <= limit {
		return b.opened
	}
	return b.begun
}

func (b *base) close() error {
	if b.begun == nil {
		return nil
	}
	err := b.begun.Close()
	if b.opened != b.begun {
		err = errors.Join(err, b.opened.Close())
	}
	for _, c := range b.charges {
		c.budget.give(c.n)
	}
	b.begun, b.opened, b.charges = nil, nil, nil
	return err
}

// anonymous returns a machine for an instance that is no plugin's, with the bounds of this one. What
// it writes goes nowhere.
func (m *machine) anonymous() *machine {
	other := &machine{compiled: m.compiled, exports: m.exports, granted: m.granted, config: m.config, debug: m.debug,
		meters: m.meters, openAllowed: m.openAllowed, flow: m.flow, budgets: m.budgets, memoryLimit: m.memoryLimit}
	other.allowed.Store(m.allowed.Load())
	other.limits.all = &m.limits
	other.log = &guestLog{logger: slog.New(slog.DiscardHandler), name: m.log.name, now: m.log.now, said: repeats.Filter{First: logRepeats}}
	return other
}

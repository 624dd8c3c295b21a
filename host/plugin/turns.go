package plugin

import (
	"runtime"
	"time"

	"github.com/waddle-sessions/waddle/host/internal/protocol"
	"github.com/waddle-sessions/waddle/host/plugin/internal/fair"
)

// How guests share the processor; see package fair. A plugin is a flow, and each of its
// instances a place for calls.

// What is not counted in fuel as it runs.
const (
	// trustedFuel is what a call of a trusted guest counts for, which nobody measures: the clock
	// would cost more than its turn. The bundled engines use up to this much in a call of
	// theirs.
	trustedFuel = 1 << 15

	// hostFuel is what the way to a metered guest and back counts for, beside the guest's own
	// fuel: else a million calls that do nothing would pass before the dispatcher had heard of any.
	hostFuel = 1 << 10

	// fuelPerNano is what a nanosecond of the host's own work for a plugin counts for. It
	// lies between guests in C and in Go.
	fuelPerNano = 16
)

func newDispatcher(parallel int) *fair.Dispatcher {
	if parallel > 0 {
		return fair.New(parallel, true)
	}
	return fair.New(runtime.GOMAXPROCS(0), false)
}

// begins waits for a turn before a call of the guest, no longer than the caller's context lasts.
// ended gives it back.
func (inst *instance) begins() error {
	caller := inst.register.Caller
	if own, ok := caller.(closing); ok && own.Err() != nil {
		caller = nil // what is left is saved all the same
	}
	if inst.turn.Begin(caller) {
		return nil
	}
	return &protocol.Left{Err: inst.register.Caller.Err()}
}

// untold returns the fuel that the call used since it last told the dispatcher.
func (m *meter) untold() int64 {
	used := m.given - int64(m.left.Get())
	fuel := used - m.told
	m.told = used
	return fuel
}

// share gives the turn up at the end of a slice, if somebody else should run, and waits for the
// next one. Waiting is not running.
func (m *meter) share() {
	if m.turn.Used(m.untold(), m.ran) {
		m.ran += m.watch.finish()
		m.turn.Again()
		m.watch.start()
	}
}

// pauses gives the turn up while a function of the host waits, and resumes waits for another.
func (inst *instance) pauses() { inst.turn.Pause() }

func (inst *instance) resumes() {
	if inst.turn.Resume() && inst.meter != nil {
		inst.meter.watch.skip()
	}
}

// aside calls a function that may wait.
func (inst *instance) aside(f func()) {
	inst.pauses()
	defer inst.resumes()
	f()
}

// heavy does work of the host for a plugin that takes a processor for milliseconds, and cannot
// be paused. It counts as a long call of the plugin.
func heavy(flow *fair.Flow, f func() error) error {
	call := flow.Call()
	call.BeginLong()
	began := time.Now()
	defer func() { call.End(fuelPerNano * int64(time.Since(began))) }()
	return f()
}

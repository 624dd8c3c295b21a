package plugin

import (
	"time"

	"github.com/waddle-sessions/waddle/host/plugin/internal/wasi"
)

// What functions of the host cost a guest, in fuel. It depends on what the guest asks
// for and not on what happens, so that the same input costs the same everywhere. A
// storm of calls then ends as a loop does.
const (
	callFuel = 512     // any function: leaving native code and coming back
	fileFuel = 1 << 14 // one that deals with files, and makes system calls
	lineFuel = 1 << 12 // a line for the log

	bytesPerFuel       = 8 // that are copied
	randomBytesPerFuel = 1
)

// charge takes fuel, if the guest is metered. It may end the call.
func (inst *instance) charge(fuel int64) {
	if inst.meter != nil {
		inst.meter.charge(fuel)
	}
}

// enter charges for a function of WASI, and leave ends what enter began for one that
// deals with files.
func (inst *instance) enter(w wasi.Work) {
	if inst.meter == nil {
		if w.Files {
			inst.pauses()
		}
		return
	}
	bytes := int64(w.Bytes) / bytesPerFuel
	if !w.Files {
		inst.meter.charge(callFuel + bytes)
		return
	}
	inst.meter.charge(fileFuel + bytes)
	inst.meter.wait()
	inst.pauses()
}

func (inst *instance) leave() {
	if inst.meter != nil {
		inst.meter.waitEnds()
	}
	inst.resumes()
}

// maxSleep is how long a guest may sleep in one call.
const maxSleep = time.Millisecond

func (inst *instance) sleep(d time.Duration) {
	if d = min(d, maxSleep-inst.slept); d > 0 {
		inst.slept += d
		inst.aside(func() { time.Sleep(d) })
	}
}

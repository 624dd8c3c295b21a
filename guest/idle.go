package guest

import (
	"github.com/waddle-sessions/waddle/abi"
	"github.com/waddle-sessions/waddle/guest/internal/background"
)

// Idler is an engine with work of its own to do while the host has none for it, such
// as closing connections that were idle for too long. Only an engine that was granted
// a network is asked.
//
// Goroutines need no Idler: if a module uses package network, they run whenever a call
// waits, and for a moment in each idle call.
type Idler interface {
	// Idle takes a few milliseconds at most. It returns after how many milliseconds it
	// wants to be called again; 0 leaves that to the host, which then calls about once a
	// second. An error is for the host's log.
	Idle(now int64) (next int64, err error)
}

func (i *instance) idle(now int64) int64 {
	if i.idler == nil && background.Run == nil {
		return int64(abi.Unsupported)
	}
	if !i.opened {
		return i.fail(errNotOpen)
	}
	if background.Run != nil {
		background.Run()
	}
	if i.idler == nil {
		return 0
	}
	next, err := i.idler.Idle(now)
	if err != nil {
		return i.fail(err)
	}
	return max(next, 0)
}

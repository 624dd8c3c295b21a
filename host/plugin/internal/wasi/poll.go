package wasi

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/tetratelabs/wazero/api"
)

const pollName = "poll_oneoff"

const (
	maxSubscriptions = 1024
	// Go polls two for each connection, and ends the program if that is refused.
	maxSocketSubscriptions = 1 << 14

	subscriptionSize = 48
	eventSize        = 32
	eventClock       = 0
	eventRead        = 1
	eventWrite       = 2
)

// ahead is how long a moment lies ahead of which that is all that is known.
const ahead = time.Duration(1<<63 - 1)

// poll is poll_oneoff (in, out, nsubscriptions, nevents i32) -> errno. The work and
// the memory of wazero's grow with a number that the guest chooses. For a guest without
// sockets there is nothing to wait for: standard input is at its end, standard output takes
// everything, and a clock has passed when Sleep returns.
func poll(hooks Hooks) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		s := hooks.Sockets(ctx)
		most := uint32(maxSubscriptions)
		if s != nil {
			most = maxSocketSubscriptions
		}
		hooks.Before(ctx, Work{Bytes: int(min(uint32(stack[2]), most)) * (subscriptionSize + eventSize)})
		if s != nil {
			stack[0] = pollSockets(s, mod.Memory(), uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3]))
			return
		}
		wait, errno := answer(mod.Memory(), uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3]))
		if errno == success {
			hooks.Sleep(ctx, wait)
		}
		stack[0] = errno
	}
}

// answer writes an event for each subscription, and returns how long the guest
// wants to wait until the first of them.
func answer(mem api.Memory, from, to, n, result uint32) (time.Duration, uint64) {
	if n == 0 || n > maxSubscriptions {
		return 0, inval
	}
	subscriptions, ok1 := mem.Read(from, n*subscriptionSize)
	events, ok2 := mem.Read(to, n*eventSize)
	if !ok1 || !ok2 || !mem.WriteUint32Le(result, n) {
		return 0, fault
	}
	wait := ahead
	for i := range int(n) {
		s, e := subscriptions[i*subscriptionSize:][:subscriptionSize], events[i*eventSize:][:eventSize]
		// The two regions may overlap: everything is read before it is written.
		user, kind, fd := binary.LittleEndian.Uint64(s), s[8], binary.LittleEndian.Uint32(s[16:])
		timeout, absolute := binary.LittleEndian.Uint64(s[24:]), s[40]&1 == 1
		clear(e)
		binary.LittleEndian.PutUint64(e, user)
		e[10] = kind
		switch kind {
		case eventClock:
			if !absolute && timeout < uint64(wait) {
				wait = time.Duration(timeout)
			}
		case eventRead, eventWrite:
			if fd > 2 {
				e[8] = badf
			}
			wait = 0
		default:
			return 0, inval
		}
	}
	return wait, success
}

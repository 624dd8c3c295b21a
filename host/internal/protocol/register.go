package protocol

import "context"

// Register is what an instance and its shard tell each other at every call. It lies where neither
// has to call the other for it. It belongs to the holder of the shard's lock.
type Register struct {
	// Caller is the context of the operation that calls are made for, which the shard says. In
	// between it is nil, or one that does not end.
	Caller context.Context

	// Fuel is how much the calls that have ended used, which the instance says.
	Fuel uint64
}

// Registered is an Instance with a register. Its calls may wait for something that other instances
// have. A call that its caller did not wait for returns a [*Left], and one that found no room an
// [*Answer] whose Refused is set.
type Registered interface{ Register() *Register }

// waits tells the instance the context of its calls until the shard is unlocked.
func (r *runner) waits(ctx context.Context) *runner {
	r.register.Caller = ctx
	return r
}

// fuel returns how much fuel the instance's calls have used.
func (r *runner) fuel() uint64 {
	if r.registered {
		return r.register.Fuel
	}
	return r.Fuel()
}

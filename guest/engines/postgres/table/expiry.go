package table

import "math"

// lateness is the part of its lifetime by which an expired record may be swept late.
const lateness = 16

// sweepAt returns when a record is to be swept: not before it has expired, and so coarsely
// that a session that is in use gets the same moment many times in a row. That column is
// indexed, and a write that leaves all indexed columns alone costs the server half.
func sweepAt(expires, now int64) int64 {
	if expires == 0 {
		return 0
	}
	step := int64(1)
	if expires > now {
		for lifetime := uint64(expires) - uint64(now); uint64(step) <= lifetime/lateness/2; {
			step *= 2
		}
	}
	at := expires &^ (step - 1) // rounded down, also if negative
	if at != expires {
		if at > math.MaxInt64-step {
			return math.MaxInt64
		}
		at += step
	}
	if at == 0 {
		return 1 // 0 is never
	}
	return at
}

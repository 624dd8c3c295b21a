package store

import (
	"errors"
	"time"
)

// Delayed is implemented by an error that knows for how long it is of no use to try
// again.
type Delayed interface {
	error
	RetryIn() time.Duration
}

// RetryIn returns what an error, or one that it wraps, says of when the operation may
// be tried again; 0 if it says nothing.
func RetryIn(err error) time.Duration {
	var d Delayed
	if errors.As(err, &d) {
		return max(0, d.RetryIn())
	}
	return 0
}

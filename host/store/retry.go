package store

import (
	"errors"
	"time"
)

// Delayed is an error that knows how long a retry is useless.
type Delayed interface {
	error
	RetryIn() time.Duration
}

// RetryIn returns how long to wait before trying the operation again, according to an
// error or one that it wraps. It returns 0 if they do not say.
func RetryIn(err error) time.Duration {
	var d Delayed
	if errors.As(err, &d) {
		return max(0, d.RetryIn())
	}
	return 0
}

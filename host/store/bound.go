package store

import "errors"

// Exceeding is an error of a store that can be a bound which the store has exceeded.
type Exceeding interface {
	error
	// ExceededBound returns the bound in one word, or "" if the error is another.
	ExceededBound() string
}

// ExceededBound returns the bound that made an operation fail, according to an error or
// one that it wraps: of a plugin it is a limit of package plugin, such as fuel. It
// returns "" for any other error.
func ExceededBound(err error) string {
	var e Exceeding
	if errors.As(err, &e) {
		return e.ExceededBound()
	}
	return ""
}

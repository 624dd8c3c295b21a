//go:build race

package rewrite_test

// raced tells that the race detector runs, which multiplies memory and time.
const raced = true

//go:build race

package plugin_test

// raced tells that the race detector runs, which multiplies memory and time.
const raced = true

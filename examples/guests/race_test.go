//go:build race

package guests_test

// The guests run in one thread each, so that the race detector finds little and
// takes its time: what is long is shortened under it.
const raceEnabled = true

//go:build race

package network_test

// Each guest runs in one thread, so the race detector finds little and takes
// long: long tests are shortened under it.
const raceEnabled = true

//go:build race

package guests_test

// Each guest runs in one thread, so the race detector finds little and takes
// long: long tests are shortened under it.
const raceEnabled = true

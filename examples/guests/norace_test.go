//go:build !race

package guests_test

const raceEnabled = false

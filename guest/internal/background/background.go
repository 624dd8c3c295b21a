// Package background lets the goroutines of a module run while the host has nothing else to
// do, without package guest importing package time.
package background

// Run parks the goroutine that calls it for a moment, so that all others run. It is nil
// in a module that has nothing to wait for.
var Run func()

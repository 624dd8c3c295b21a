//go:build !waddle_debug

package guest

// Debugging says whether this is a build for development, which is one with the
// tag waddle_debug. What stands in "if guest.Debugging { … }" is not compiled
// into any other.
const Debugging = false

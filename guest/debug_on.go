//go:build waddle_debug

package guest

// Debugging says whether this is a development build, one with the tag
// waddle_debug. Code inside "if guest.Debugging { … }" is compiled into no
// other build.
const Debugging = true

package main

import (
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
)

// The engine as a native program: quick, with a debugger and coverage at hand.
// What only the module has, waddle test checks.
func TestEngine(t *testing.T) {
	guesttest.Run(t, func() guest.Engine { return new(engine) }, info)
}

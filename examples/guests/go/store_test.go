package main

import (
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
)

// The engine as a native program: quick, with debugger and coverage. waddle
// test checks what only the module has.
func TestEngine(t *testing.T) {
	guesttest.Run(t, func() guest.Engine { return new(engine) }, info)
}

package main

import (
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
)

func TestConformance(t *testing.T) {
	guesttest.Run(t, func() guest.Engine { return new(engine) }, info)
}

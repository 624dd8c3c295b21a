package main

import (
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
)

func TestConformance(t *testing.T) {
	guesttest.RunFiles(t, func(dir string) guest.Engine { return &engine{dir: dir} }, info)
}

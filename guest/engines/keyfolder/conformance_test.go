package main

import (
	"testing"

	"github.com/waddle-sessions/waddle/guest"
	"github.com/waddle-sessions/waddle/guest/guesttest"
	"github.com/waddle-sessions/waddle/host/storetest"
)

// Every session takes a folder, so there are fewer operations than usual.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many thousands of files")
	}
	guesttest.RunFiles(t, func(dir string) guest.Engine { return &engine{dir: dir} }, info,
		guesttest.Options{Options: storetest.Options{Soak: 10_000, Sequences: 20}})
}

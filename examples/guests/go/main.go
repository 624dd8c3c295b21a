// A storage plugin for Waddle in Go that keeps sessions in memory.
//
// Package guest makes a plugin's exports from the methods of an engine, which
// is in store.go. Nobody calls main, but the toolchain requires it.
package main

import "github.com/waddle-sessions/waddle/guest"

var info = guest.Info{
	Name:     "example-store",
	Version:  "1.0.0",
	CAS:      true,    // Set compares and stores as one step
	MaxValue: 1 << 20, // of a session; keys may be as long as the interface allows
}

func init() { guest.Register(new(engine), info) }

func main() {}

//go:build !linux

package main

import "time"

// threadTime and processTime are 0 where processor time is not available in
// nanoseconds.
func threadTime() time.Duration  { return 0 }
func processTime() time.Duration { return 0 }

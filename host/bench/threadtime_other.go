//go:build !linux

package main

import "time"

// threadTime is 0 where the processor time of a thread is not to be had.
func threadTime() time.Duration { return 0 }

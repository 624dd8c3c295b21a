// A storage plugin for Waddle in Go that keeps sessions in Redis or Valkey.
package main

import "github.com/waddle-sessions/waddle/guest"

var info = guest.Info{
	Name:     "example-redis",
	Version:  "1.0.0",
	CAS:      true, // a script compares and stores as one step
	Remote:   true, // no record lies in an instance
	MaxValue: 256 << 10,
}

func init() { guest.Register(new(engine), info) }

func main() {}

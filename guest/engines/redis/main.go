// The Redis engine keeps sessions in a Redis or Valkey server, where several hosts share
// them. README.md beside this file says what it promises.
package main

import "github.com/waddle-sessions/waddle/guest"

func init() { guest.Register(new(engine), info) }

func main() {}

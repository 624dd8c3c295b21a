// The in-memory engine keeps sessions in the linear memory of the module. They
// are bounded, and lost with the process. README.md beside this file says what
// it promises.
package main

import "github.com/waddle-sessions/waddle/guest"

func init() { guest.Register(new(engine), info) }

func main() {}

// The in-memory engine: sessions in the linear memory of the module, bounded and
// gone with the process. README.md beside this file says what it promises.
package main

import "github.com/waddle-sessions/waddle/guest"

func init() { guest.Register(new(engine), info) }

func main() {}

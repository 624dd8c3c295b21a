// The keyfolder engine keeps every session in a folder of its own, below the
// directory that the host mounts. README.md beside this file says what lies where
// and what is promised.
package main

import "github.com/waddle-sessions/waddle/guest"

func init() { guest.Register(&engine{dir: guest.Mount}, info) }

func main() {}

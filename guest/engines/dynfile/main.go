// The segment-file engine keeps sessions in append-only files that survive
// crashes and power losses. README.md beside this file says what it promises
// and what lies where on disk.
package main

import "github.com/waddle-sessions/waddle/guest"

func init() { guest.Register(&engine{dir: guest.Mount}, info) }

func main() {}

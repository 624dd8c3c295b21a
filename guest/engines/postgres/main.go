// The postgres engine keeps sessions in a table of a PostgreSQL server. README.md beside
// this file says what it promises.
package main

import "github.com/waddle-sessions/waddle/guest"

func init() { guest.Register(new(engine), info) }

func main() {}

// Package resp speaks RESP2, the protocol of Redis and Valkey, over one connection.
//
//	c := resp.NewConn(stream, resp.Limits{})
//	c.Do("GET", key)             // only appends to a buffer
//	c.Do("DEL", other)
//	err := c.Flush()             // writes both
//	value, err := c.Read()       // the answer to GET
//	removed, err := c.Read()     // the answer to DEL
//
// It is straight-line code for one goroutine: no reader in the background, no timer, and
// no allocation per command, since goroutines and timers are what is dear in a
// WebAssembly guest. Whoever uses it pipelines by appending several commands before it
// reads.
//
// # What it trusts
//
// Nothing that arrives. Lengths are compared with [Limits] before memory is
// allocated, nesting is bounded, and whatever is not RESP2 is [ErrMalformed]. After any
// error of the stream or the protocol the connection is closed and stays so: an answer
// can never be taken for that of another command.
//
// RESP3 (HELLO 3) would add types that nobody here needs, and messages that come without
// a question.
package resp

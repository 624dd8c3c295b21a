// Package client speaks to PostgreSQL for an engine: it connects, logs in, and sends many
// statements before it reads the answers to any.
//
// The messages are encoded and decoded by package pgproto3 of pgx. What lies above, from
// pgconn up, is left out: it waits by goroutines and timers, which are ten to twenty times
// as dear in a guest as natively, and it makes a module four times as large.
//
// A [Conn] is for one goroutine. It starts none.
package client

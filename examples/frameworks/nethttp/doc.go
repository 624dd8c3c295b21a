// Package nethttp shows sessions in a server of net/http. A manager's Handler is
// middleware and goes around a whole server, or around a part of it:
//
//	mux.Handle("/account/", sessions.Handler(account))
//
// The example is a program with both. In the suite, compression, a time-out and traces
// stand around the sessions and inside.
package nethttp

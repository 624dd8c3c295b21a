// Package nethttp shows sessions in a server of net/http. A manager's Handler is
// middleware and goes around a whole server, or around a part of it:
//
//	mux.Handle("/account/", sessions.Handler(account))
//
// The example is a program with both. The suite puts what else a server has around
// the sessions and inside: compression, a limit of time, traces.
package nethttp

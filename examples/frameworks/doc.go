// Package frameworks shows how to use Waddle's sessions in Go web frameworks.
// There is one rule: handlers must use the ResponseWriter and the request that
// [session.Manager.Handler] gives them.
//
// Around a whole application this works with any framework of net/http:
//
//	server := &http.Server{Addr: addr, Handler: sessions.Handler(router)}
//
// The server ends as in examples/bundled: a signal, Shutdown, and then the
// engine's Close, which saves. Do the same if the framework has its own way to
// run, unless that returns on a signal: sessions that were not saved are lost.
//
// The folders beside this file show sessions in a part of an application. They
// need no code for it but the manager's Handler. Frameworks with a context of
// their own have a module under host/adapt, whose README has a table of all.
//
// The tests of the folders run a suite of HTTP behaviours over real servers.
package frameworks

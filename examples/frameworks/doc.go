// Package frameworks shows how to use Waddle's sessions in Go web frameworks.
// There is one rule: handlers must use the ResponseWriter and the request that
// [session.Manager.Handler] gives them.
//
// Around a whole application this works with any framework:
//
//	server := &http.Server{Addr: addr, Handler: sessions.Handler(router)}
//
// The server ends as in examples/bundled: a signal, Shutdown, and then the
// engine's Close, which saves. Do the same if the framework has its own way to
// run, unless that returns on a signal: sessions that were not saved are lost.
//
// For a part of an application, chi takes a manager's Handler as it is, and echo
// has a function for it:
//
//	router.Use(sessions.Handler)                      // chi
//	group.Use(echo.WrapMiddleware(sessions.Handler))  // echo
//
// gin keeps a writer of its own, which [Gin] takes care of:
//
//	group.Use(frameworks.Gin(sessions))
//
// The tests of this package check all of this with real servers.
package frameworks

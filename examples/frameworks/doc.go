// Package frameworks shows how Waddle's sessions are put into web frameworks of
// Go. The one rule: handlers must write to the ResponseWriter that
// [session.Manager.Handler] gives them, and have the request that it gives them.
//
// Around a whole application that holds by itself, whatever the framework:
//
//	server := &http.Server{Addr: addr, Handler: sessions.Handler(router)}
//
// The server is ended as in examples/bundled: a signal, Shutdown, and then the
// engine's Close, which saves. Do so with the framework's own way to run, too,
// unless it returns when a signal comes: sessions that were not saved are lost.
//
// For a part of one, chi takes a manager's Handler as it is, and echo has a
// function for that:
//
//	router.Use(sessions.Handler)                      // chi
//	group.Use(echo.WrapMiddleware(sessions.Handler))  // echo
//
// gin keeps a writer of its own, which [Gin] takes care of:
//
//	group.Use(frameworks.Gin(sessions))
//
// The tests of this package hold all of that, over real servers.
package frameworks

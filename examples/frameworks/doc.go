// Package frameworks shows how Waddle's sessions are put into web frameworks of
// Go. The one rule: handlers must write to the ResponseWriter that
// [session.Manager.Handler] gives them, and have the request that it gives them.
//
// Around a whole application that holds by itself, whatever the framework:
//
//	http.ListenAndServe(addr, sessions.Handler(router))
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

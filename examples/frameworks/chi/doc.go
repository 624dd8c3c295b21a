// Package chi shows sessions in a router of chi. A manager's Handler is middleware
// as chi knows it, for a router or for a group of routes:
//
//	router.Use(sessions.Handler)
//
// With a manager's Protect it is router.Use(sessions.Handler, sessions.Protect(nil)).
// Loggers and the Recoverer belong before the sessions: they then see what the client
// gets, and a handler that panics saves nothing. Compression may stand on either side.
//
// In the suite chi's own middleware stands around the sessions and inside.
package chi

// Package connectrpc shows sessions in a service of connect: its handlers are
// http.Handlers, so the manager's Handler goes around them, and a procedure finds
// its session in its context.
package connectrpc

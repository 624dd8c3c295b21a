// Package servertest contains only tests, of the engines that keep files: under a
// server with sessions, over a simulated disk that fails and loses its power.
package servertest

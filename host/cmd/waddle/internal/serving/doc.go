// Package serving is behind "waddle serve": the sessions of one store, for programs in
// other languages, as JSON over HTTP on a unix socket or on an address with mutual TLS.
//
// [Service] answers the requests of those programs, and [Operator] those of whoever runs
// it. [Server] serves both until it is told to stop. The file SERVE.md of the command
// describes the protocol, and openapi.json states it for machines.
//
// A client is trusted with the sessions: it may read and change each whose id it has,
// and list and end those of every user. It may not bring its own ids, bring back what
// was ended, exceed the bounds of sizes, rates and connections, or touch the library's
// own values.
package serving

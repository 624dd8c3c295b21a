// Package network is what a guest may reach over a network, and how: patterns of
// addresses that are granted, a guard over what names lead to, connections with TLS, and
// bounds on all of it.
//
// A [Network] is a plugin's, a [Table] an instance's, a [Conn] one connection. Everything
// may be used from any number of goroutines. The package knows no guest and no WebAssembly:
// errors are WASI's numbers as package abi lists them, 0 if there is none.
//
// README.md in this folder says what is promised and how it is done.
package network

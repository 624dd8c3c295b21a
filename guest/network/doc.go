// Package network gives an engine connections to servers that its host has granted.
//
//	dialer := network.Dialer{Timeout: 2 * time.Second}
//	conn, err := dialer.Dial("tcp", "db.example.com:5432")
//
// Addresses are names or IP addresses with a port, or the path of a Unix socket. The host
// resolves names, checks that the operator granted the address, connects, and does TLS: a
// guest has no sockets, no resolver and no roots of its own. What was not granted fails
// with syscall.EACCES.
//
// A [Conn] is a [net.Conn], so most drivers work over it: hand them [Dialer.DialContext]
// where they take a function that dials, and, where they would resolve a name first, a
// function that returns it as it is.
//
// # Two ways to wait
//
// By default a connection waits as any connection in Go does: the goroutine that reads is
// parked, and others run. Drivers with goroutines of their own need this. In a guest,
// however, a goroutine or timer costs ten to twenty times what it costs natively, and so
// each wait has its price.
//
// With [Dialer.Blocking], the whole instance waits within the call to the host, and nothing
// else of it runs. That is the cheapest way, and right for an engine that sends a command
// and reads its answer, or many commands and then many answers, without goroutines. A
// driver that reads in one goroutine and writes in another stands still for ever with it.
//
// # How long
//
// The host bounds how long a call of the guest may wait in all. When that is spent, every
// further wait in the call fails with syscall.ETIMEDOUT, at once. Deadlines that are
// earlier work as in package net.
//
// # Goroutines
//
// Goroutines of an engine that uses this package, such as those of a pool, run while a
// call waits, and for a moment each second or so in which the host has nothing to do
// ([guest.Idler]).
//
// # Tests
//
// Natively, the same functions connect by the packages net and crypto/tls, to any address.
// NativeTLS then has the roots and certificates that a host would hold.
package network

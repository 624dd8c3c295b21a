package abi

// The functions of ModuleName that reach a network. A guest may import them if it was
// granted addresses. Each returns a number less than 0 if it failed: an error number of WASI,
// negated.
const (
	ImportDial      = "dial"           // (address_ptr, address_len i32) -> i32: a connection, which is being made
	ImportConnWait  = "conn_wait"      // (conn, events i32, timeout_ms i64) -> i32: the events that are there
	ImportConnRead  = "conn_read"      // (conn, ptr, len i32, timeout_ms i64) -> i32: bytes; 0 at the end
	ImportConnWrite = "conn_write"     // (conn, ptr, len i32, timeout_ms i64) -> i32: bytes
	ImportConnTLS   = "conn_start_tls" // (conn, name_ptr, name_len i32) -> i32: 0; the handshake is being made
	ImportConnError = "conn_error"     // (conn, ptr, len i32) -> i32: bytes of what failed last, in words
	ImportConnClose = "conn_close"     // (conn i32) -> i32: 0
)

// FirstConn is the least descriptor of a connection. Files have smaller ones.
const FirstConn = 1 << 16

// Events that conn_wait waits for. WaitWrite is also when a connection, or its TLS, is
// ready, or has failed.
const (
	WaitRead  int32 = 1
	WaitWrite int32 = 2
)

// Error numbers of WASI that the functions of a network return, negated.
const (
	ErrnoAccess        int32 = 2  // EACCES: no grant has the address
	ErrnoAgain         int32 = 6  // EAGAIN: nothing within the timeout
	ErrnoBadDescriptor int32 = 8  // EBADF: no such connection
	ErrnoRefused       int32 = 14 // ECONNREFUSED
	ErrnoReset         int32 = 15 // ECONNRESET: it was cut, by the other side or by the host
	ErrnoUnreachable   int32 = 23 // EHOSTUNREACH: the name has no address, or there is no way
	ErrnoInvalid       int32 = 28 // EINVAL: not an address, or not a use for this connection
	ErrnoTooMany       int32 = 33 // EMFILE: no more connections may be open
	ErrnoPipe          int32 = 64 // EPIPE: it was closed for writing
	ErrnoProtocol      int32 = 65 // EPROTO: TLS failed; conn_error says why
	ErrnoTimedOut      int32 = 73 // ETIMEDOUT: the bound of the call's waiting was reached
)

// waddle.h - the storage interface of Waddle, version 1, as C sees it.
//
// The contract itself, which says what each function must do, is
// https://github.com/waddle-sessions/waddle/blob/main/abi/SPEC.md
#ifndef WADDLE_H
#define WADDLE_H

#include <stdint.h>
#include <string.h>

// Answers less than zero are errors.
enum {
	NOT_FOUND = -1,    // no record is stored under the key, or it has expired
	INVALID = -2,      // an argument or setting cannot be accepted
	TOO_LARGE = -3,    // the key or value is larger than this store takes
	NO_SPACE = -4,     // there is no room, and none can be made
	UNAVAILABLE = -5,  // not possible now; the same call may succeed later
	CONFLICT = -6,     // the stored revision is not the expected one
	CORRUPT = -7,      // a record is stored but cannot be read
	DENIED = -8,       // the backend refuses access
	UNSUPPORTED = -9,  // the store does not have this operation
	INTERNAL = -10,    // a fault within the store
};

// What the argument expect can be other than a revision.
enum { EXPECT_ANY = 0, EXPECT_ABSENT = -1 };

// EXPORT("name") before a function makes it an export of the module.
#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(name) __attribute__((import_module("waddle_v1"), import_name(name)))

// Writes a line to the host's log. Levels: -4 debug, 0 info, 4 warning, 8 error.
IMPORT("log") void waddle_log(int32_t level, const char *text, uint32_t length);

// Attaches a message to the error that the current call is going to return. It
// must not contain keys or values.
IMPORT("fail") void waddle_fail(const char *text, uint32_t length);

// ---- A server, for a store that was granted its address ----------------------------
//
// Each returns a number less than 0 if it failed: one of these, or another error number of
// WASI, negated. A timeout of 0 does not wait, one less than 0 waits as long as the host allows.
enum {
	NET_DENIED = -2,    // dial: no grant has the address
	NET_AGAIN = -6,     // nothing within the timeout
	NET_RESET = -15,    // the connection was cut
	NET_TOO_MANY = -33, // dial: no more connections may be open
	NET_TLS = -65,      // TLS failed
	NET_TIMEOUT = -73,  // this call of the host may not wait any longer
};
enum { WAIT_READ = 1, WAIT_WRITE = 2 };

// Begins to connect to "tcp://host:port", "tls://host:port" or "unix:///path", and returns the
// connection. It can be used when waddle_conn_wait for WAIT_WRITE returns.
IMPORT("dial") int32_t waddle_dial(const char *address, uint32_t length);

// Waits for events and returns those that are there.
IMPORT("conn_wait") int32_t waddle_conn_wait(int32_t conn, int32_t events, int64_t timeout_ms);

// Return how many bytes were read, 0 at the end, and how many were written.
IMPORT("conn_read") int32_t waddle_conn_read(int32_t conn, void *to, uint32_t length, int64_t timeout_ms);
IMPORT("conn_write") int32_t waddle_conn_write(int32_t conn, const void *from, uint32_t length, int64_t timeout_ms);

// Begins TLS on a connection of tcp. It has begun when waddle_conn_wait for WAIT_WRITE returns.
IMPORT("conn_start_tls") int32_t waddle_conn_start_tls(int32_t conn, const char *name, uint32_t length);

// Writes what failed last, in words, and returns how many bytes.
IMPORT("conn_error") int32_t waddle_conn_error(int32_t conn, char *to, uint32_t length);

IMPORT("conn_close") int32_t waddle_conn_close(int32_t conn);

// fail returns an error code and says why.
static inline int64_t fail(int64_t code, const char *why) {
	waddle_fail(why, (uint32_t)strlen(why));
	return code;
}

// region is the answer of an operation that returns bytes: where they are and how
// many. They must stay as they are until the next call.
static inline int64_t region(const void *bytes, uint32_t length) {
	return (int64_t)((uint64_t)(uintptr_t)bytes << 32 | length);
}

// expired reports whether a record is gone: expires_ms is the first millisecond
// at which it is; 0 means never.
static inline int expired(int64_t expires_ms, int64_t now_ms) {
	return expires_ms != 0 && now_ms >= expires_ms;
}

// revision returns the first eight bytes of a value as a number. Missing bytes of
// a shorter value count as zero. WebAssembly is little-endian, and so are
// revisions.
static inline int64_t revision(const uint8_t *value, uint32_t length) {
	int64_t number = 0;
	memcpy(&number, value, length < 8 ? length : 8);
	return number;
}

#endif
